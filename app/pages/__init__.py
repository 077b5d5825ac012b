"""Whole pages: where their lines are, what kind each is, and what that makes the page."""

from app.pages.analyse import Page, PageLine, analyse

__all__ = ["Page", "PageLine", "analyse"]
