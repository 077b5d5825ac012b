"""Digits, as people write and draw them, in the form of MNIST."""

from app.preprocess import ImageSpec
from app.tasks.base import Task

DIGIT = Task(
    name="digit",
    kind="classify",
    labels=tuple("0123456789"),
    image=ImageSpec(
        height=28,
        width=28,
        fit="stretch",
        mean=(0.13,),
        std=(0.31,),
        steps=("find_ink", "keep_strokes", "deskew", "centre_mass"),
    ),
    augment="strokes",
    blank_below=0,  # the step `find_ink` refuses what is blank
    alike=tuple(map(tuple, ("0Oo", "1lIi|/!", "2Zz", "5Ss", "6b", "9qg"))),
    strange_share=0.02,
    views="uncertain",
)
