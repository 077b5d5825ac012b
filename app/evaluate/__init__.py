"""How good a recogniser is: reports on cases with known labels, and on altered copies of them.

Knows only `predict`. Needs no more than the service does, so that the promotion gate can judge where nothing else is.
"""

from app.evaluate.alterations import ALTERATIONS, altered
from app.evaluate.metrics import alike_accuracy
from app.evaluate.report import Case, Report, answers_of, evaluate, report_of

__all__ = ["ALTERATIONS", "Case", "Report", "alike_accuracy", "altered", "answers_of", "evaluate", "report_of"]
