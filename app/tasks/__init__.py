"""The recognition tasks of PenPress, listed by hand: a new recogniser is one file here and one line in `TASKS`."""

from app.tasks.base import PLACE, Gate, Kind, Locate, Predict, Prediction, Task, Views
from app.tasks.character import CHARACTER
from app.tasks.digit import DIGIT
from app.tasks.document_type import DOCUMENT_TYPE
from app.tasks.page_text import PAGE_TEXT

TASKS = {task.name: task for task in (DOCUMENT_TYPE, DIGIT, CHARACTER, PAGE_TEXT)}
DEFAULT = next(iter(TASKS))  # the main task, which commands mean when they are told none

__all__ = [
    "CHARACTER",
    "DEFAULT",
    "DIGIT",
    "DOCUMENT_TYPE",
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
]
