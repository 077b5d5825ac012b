"""Single characters: the 94 printable ASCII ones, as people write and draw them, each in the cell where it stands.

Where a mark stands in its cell is kept: nothing else tells a comma from an apostrophe.
"""

from string import ascii_lowercase, ascii_uppercase

from app.preprocess import ImageSpec
from app.tasks.base import Task

FIRST, LAST = "!", "~"

CHARACTER = Task(
    name="character",
    kind="classify",
    labels=tuple(chr(number) for number in range(ord(FIRST), ord(LAST) + 1)),
    image=ImageSpec(height=28, width=28, fit="stretch", mean=(0.13,), std=(0.31,), steps=("find_ink", "fill_cell")),
    augment="strokes",
    signs=True,
    blank_below=0,  # the step `find_ink` refuses what is blank
    alike=(*zip(ascii_uppercase, ascii_lowercase, strict=True), tuple("0Oo"), tuple("1lI|"), tuple("'`,")),
)
