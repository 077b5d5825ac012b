"""Tests of the model card."""

from pathlib import Path

import numpy as np
import pytest

from app.evaluate import Report, report_of
from app.inference.bundle import CARD, read_description
from app.training.card import write_card
from app.training.judge import Judgement
from tests.bundles import make_bundle

OPTIONS = {
    "strategy": "transfer",
    "weights": "/home/somebody/weights/lines.pth",
    "epochs": 3,
    "data": ["catmus", "corto"],
}


def report(*confidences: float) -> Report:
    """A report on printed lines from two sources, of which those with a confidence under a half are wrong."""
    probabilities = np.array([(1 - share, share) for share in confidences])
    sources = [("archive", "library")[number % 2] for number in range(len(confidences))]
    return report_of(
        ("handwritten", "printed"), np.ones(len(confidences), np.int64), probabilities, {"source": sources}
    )


def card_of(folder: Path, unseen: Report | None = None, **options: str) -> list[str]:
    """The lines of a card of a run that had more *options*."""
    bundle = make_bundle(folder / "bundle", figures={"milliseconds_per_image": 12.34})
    test = report(0.97, 0.3, 0.9, 0.92)
    validation, plain, altered = report(0.99, 0.99), report(0.9, 0.9, 0.9, 0.3), {"grey": report(0.9, 0.4, 0.3, 0.9)}
    judgement = Judgement(read_description(bundle), validation, test, unseen, plain, altered)
    write_card(bundle, judgement, OPTIONS | options)
    return (bundle / CARD).read_text().splitlines()


@pytest.mark.parametrize(
    "row",
    [
        "# document_type: handwritten or printed",
        "brightness (none), 4 parameters.",
        "| validation | 2 | 1.0000 |",
        "| test | 4 | 0.7500 |",
        "| 0.95 | 0.2500 | 0.0000 |",
        "| copy | images | accuracy | difference in points | ECE |",
        "| unaltered | 4 | 0.7500 |  | ",
        "| grey | 4 | 0.5000 | -25.0 | ",
        "| ms/image (single images, median) | 12.3 |",
        "## Test split by source",
        "| archive | 2 | 1.0000 |",
        "| library | 2 | 0.5000 |",
        "| epochs | 3 |",
        "| data | catmus, corto |",
    ],
)
def test_the_card_has_the_figures(tmp_path: Path, row: str) -> None:
    """Figures of splits, thresholds, copies and sources stand in the card, and how the model was trained."""
    assert any(line.startswith(row) for line in card_of(tmp_path))


def test_the_card_tells_no_paths_of_the_trainer(tmp_path: Path) -> None:
    """A path among the options is shown by its file name alone, since cards are published."""
    card = "\n".join(card_of(tmp_path))
    assert "| weights | lines.pth |" in card
    assert "somebody" not in card


@pytest.mark.parametrize(("option", "why"), [("never", "`--quantise never`"), ("auto", "it has no convolutions")])
def test_the_card_says_in_what_precision_the_model_is_and_why(tmp_path: Path, option: str, why: str) -> None:
    """Also where no model in 8 bits was made."""
    card = card_of(tmp_path, quantise=option)
    said = card[card.index("## Precision") + 2]
    assert said.startswith("The network is stored in 32 bits (fp32)")
    assert why in said


def test_sources_left_out_are_shown_where_there_are_any(tmp_path: Path) -> None:
    """Their section is there only when a source was left out of training."""
    heading = "## Sources left out of training"
    assert heading not in card_of(tmp_path / "without")
    assert heading in card_of(tmp_path / "with", unseen=report(0.8, 0.8))


def test_tables_are_whole(tmp_path: Path) -> None:
    """Within every table all rows have as many cells."""
    tables = "\n".join(card_of(tmp_path, unseen=report(0.8))).split("\n\n")
    for table in (table for table in tables if table.startswith("|")):
        assert len({line.count("|") for line in table.splitlines()}) == 1
