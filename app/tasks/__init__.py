"""The recognition tasks of PenPress, listed by hand: a new recogniser is one file here and one line in `TASKS`."""

from app.tasks.base import PLACE, Gate, Kind, Locate, Predict, Prediction, Task, Views, low_confidence
from app.tasks.character import CHARACTER
from app.tasks.digit import DIGIT
from app.tasks.document_type import DOCUMENT_TYPE
from app.tasks.page_text import PAGE_TEXT

TASKS = {task.name: task for task in (DOCUMENT_TYPE, DIGIT, CHARACTER, PAGE_TEXT)}
DEFAULT = next(iter(TASKS))  # the main task, which commands mean when they are told none
OF_SIGNS = next(name for name, task in TASKS.items() if task.signs)  # whose labels texts are put together of
OF_PLACES = next(name for name, task in TASKS.items() if task.places)  # that tells where on a page text is

__all__ = [
    "CHARACTER",
    "DEFAULT",
    "DIGIT",
    "DOCUMENT_TYPE",
    "OF_PLACES",
    "OF_SIGNS",
    "PAGE_TEXT",
    "PLACE",
    "TASKS",
    "Gate",
    "Kind",
    "Locate",
    "Predict",
    "Prediction",
    "Task",
    "Views",
    "low_confidence",
]
