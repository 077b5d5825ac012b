"""Where on a page handwritten and printed lines are: a map for each, and of the whole page which of them it has.

A last map tells where text stands on its head.
"""

from app.preprocess import ImageSpec
from app.tasks.base import Gate, Task

PAGE_TEXT = Task(
    name="page_text",
    kind="classify",
    labels=("handwritten", "printed"),
    image=ImageSpec(
        height=800,
        width=800,
        fit="pad",
        channels=1,
        mean=(200 / 255,),  # the grey value of paper after the steps
        std=(64 / 255,),
        steps=("even_light", "set_paper"),
    ),
    metric="validation_places_accuracy",
    gate=Gate(accuracy_loss=0.002),  # of places, most of which are blank; what single pages change is less
    augment="page",
    same_as={"typewritten": "printed"},
    places=True,
)
