"""How good a recogniser is: reports on cases with known labels, on altered copies of them, and on places of pages.

Knows only `predict` and `locate`. Needs no more than the service does, so that the promotion gate can judge where
nothing else is.
"""

from app.evaluate.alterations import ALTERATIONS, altered
from app.evaluate.metrics import alike_accuracy
from app.evaluate.places import PlacesReport, ReadPlaces, evaluate_places
from app.evaluate.report import Case, Report, answers_of, evaluate, report_of

__all__ = [
    "ALTERATIONS",
    "Case",
    "PlacesReport",
    "ReadPlaces",
    "Report",
    "alike_accuracy",
    "altered",
    "answers_of",
    "evaluate",
    "evaluate_places",
    "report_of",
]
