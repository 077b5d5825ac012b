"""The one way from image bytes to network input; training, evaluation, the gate and the service all go through here.

Owns the image spec (the transforms that travel in a bundle) and what its steps do. Knows nothing of tasks or models.
"""

from app.preprocess.ground import contrast_of, luminance, outside_mask, paper_colour
from app.preprocess.network_input import to_array, to_batch, trace
from app.preprocess.reading import DEFAULT_MAX_PIXELS, FORMATS, read_image
from app.preprocess.spec import ImageSpec
from app.preprocess.steps import dark_on_light, fill_outside, stretch_contrast
from app.preprocess.strokes import find_ink
from app.preprocess.views import ViewSet, views_of

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMATS",
    "ImageSpec",
    "ViewSet",
    "contrast_of",
    "dark_on_light",
    "fill_outside",
    "find_ink",
    "luminance",
    "outside_mask",
    "paper_colour",
    "read_image",
    "stretch_contrast",
    "to_array",
    "to_batch",
    "trace",
    "views_of",
]
