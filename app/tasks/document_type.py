"""Handwritten or printed: the main task. Typewritten text counts as printed, since the product tells pen from type."""

from app.preprocess import ImageSpec
from app.tasks.base import Task

DOCUMENT_TYPE = Task(
    name="document_type",
    kind="classify",
    labels=("handwritten", "printed"),
    image=ImageSpec(
        height=64,
        width=512,
        fit="pad",
        channels=1,
        steps=("dark_on_light", "fill_outside", "level", "stretch_contrast"),
    ),
    augment="text_line",
    same_as={"typewritten": "printed"},
    views="uncertain",
    view_set="line",
)
