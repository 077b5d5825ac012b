"""Draws what was found over a page: every line in the colour of its class, paler where the answer is uncertain."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from app.pages.analyse import Page

COLOURS = ((214, 70, 60), (40, 100, 200), (40, 140, 70), (150, 80, 170))  # of the labels, in order
FILL, RIM = 60, 255


def overlay(image: Image.Image, page: Page, labels: Sequence[str]) -> Image.Image:
    """A copy of the page (RGB) with its lines coloured: the first label red, the second blue."""
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    width = max(2, max(image.size) // 800)
    for line in page.lines:
        colour = COLOURS[labels.index(line.prediction.label) % len(COLOURS)]
        draw.polygon(line.polygon, fill=(*colour, FILL))
        draw.rectangle(line.box, outline=(*colour, RIM // 2 if line.prediction.uncertain else RIM), width=width)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")
