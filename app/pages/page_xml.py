"""Writes a page as PAGE XML 2019: every line is a TextLine whose `production` is handwritten or printed."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from app.pages.analyse import Page, PageLine
from app.pages.file_name import as_text

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
PRODUCTIONS = {"handwritten": "handwritten-cursive", "printed": "printed", "typewritten": "typewritten"}


def to_page_xml(page: Page, file_name: str) -> bytes:
    """One page as a PAGE document, UTF-8; labels that PAGE does not know are in `custom` only."""
    root = ET.Element("PcGts", {"xmlns": NAMESPACE})
    metadata = ET.SubElement(root, "Metadata")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for name, text in (("Creator", "PenPress"), ("Created", now), ("LastChange", now)):
        ET.SubElement(metadata, name).text = text
    size = {"imageWidth": str(page.width), "imageHeight": str(page.height)}
    element = ET.SubElement(root, "Page", {"imageFilename": as_text(file_name), **size})
    if page.lines:
        add_lines(element, page)
    return bytes(ET.tostring(root, "utf-8", xml_declaration=True))


def add_lines(element: ET.Element, page: Page) -> None:
    """Add all lines in one region, with their order."""
    group = ET.SubElement(ET.SubElement(element, "ReadingOrder"), "OrderedGroup", {"id": "order"})
    ET.SubElement(group, "RegionRefIndexed", {"index": "0", "regionRef": "region_1"})
    region = ET.SubElement(element, "TextRegion", {"id": "region_1"})
    corners = ((0, 0), (page.width, 0), (page.width, page.height), (0, page.height))
    ET.SubElement(region, "Coords", {"points": " ".join(f"{x},{y}" for x, y in corners)})
    for number, line in enumerate(page.lines, start=1):
        add_line(region, line, number)


def add_line(region: ET.Element, line: PageLine, number: int) -> None:
    """Add one line: its polygon, its writing type, and how sure that is."""
    label, confidence = line.prediction.label, line.prediction.confidence
    custom = f"structure {{type:{label};}} writing {{type:{label}; confidence:{confidence:.4f};}}"
    attributes = {"id": f"line_{number}", "custom": custom, "index": str(number - 1)}
    if label in PRODUCTIONS:
        attributes["production"] = PRODUCTIONS[label]
    element = ET.SubElement(region, "TextLine", attributes)
    ET.SubElement(element, "Coords", {"points": " ".join(f"{x},{y}" for x, y in line.polygon)})
