"""The text of a drawn or hand-printed image, sign by sign: lines and signs are found, recognised, put together.

Owns the segmentation and the composition. Knows only `predict`, never which model is behind it. Cursive writing, whose
letters hang together, is out of its reach.
"""

from app.text.reading import ReadSign, Text, box_around, read_text
from app.text.segment import Sign, find_signs

__all__ = ["ReadSign", "Sign", "Text", "box_around", "find_signs", "read_text"]
