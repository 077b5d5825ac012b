"""Whole pages: where their lines are, what kind each is, and what that makes the page."""

from app.pages.analyse import Page, PageLine, Readers, analyse
from app.pages.anything import prediction_of, recognise_anything
from app.pages.files import PageLimits, count_pages, first_page, pages_of

__all__ = [
    "Page",
    "PageLimits",
    "PageLine",
    "Readers",
    "analyse",
    "count_pages",
    "first_page",
    "pages_of",
    "prediction_of",
    "recognise_anything",
]
