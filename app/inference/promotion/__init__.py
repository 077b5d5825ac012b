"""Decides which version of a task may hold the alias: chooses a run, compares it with the live version, promotes it.

`comparison` owns the held-out images and the judgement, `gate` the steps of a promotion. Neither trains, nor reloads a
running service: that watches the alias. The command line is `app/inference/model_registry_prod_experiments.py`.
"""

from app.inference.promotion.comparison import (
    Comparison,
    Figures,
    compare,
    held_out_cases,
    judge,
    milliseconds_each,
    table,
)
from app.inference.promotion.gate import Choice, Outcome, promote, roll_back

__all__ = [
    "Choice",
    "Comparison",
    "Figures",
    "Outcome",
    "compare",
    "held_out_cases",
    "judge",
    "milliseconds_each",
    "promote",
    "roll_back",
    "table",
]
