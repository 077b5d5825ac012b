"""The pictures of a run: draws everything that `plots` can draw into one folder."""

from collections.abc import Sequence
from pathlib import Path

from app.evaluate import Report
from app.inference.recogniser import Recogniser
from app.training import plots
from app.training.dataset import Item
from app.training.explain import explain_page, explain_uncertain
from app.training.feeding import Splits
from app.training.judge import Judgement, pick
from app.training.model import Network
from app.training.train import History

ERRORS, SAMPLES, EXPLAINED = 24, 24, 6


def draw_pictures(folder: Path, history: History, judgement: Judgement, splits: Splits) -> None:
    """Draw curves, confusion, ROC, reliability, the most confident errors and a sample of the data as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    plots.plot_curves(history, folder / "curves.png")
    plots.plot_confusion(judgement.test, folder / "confusion.png")
    plots.plot_roc(judgement.test, folder / "roc.png")
    plots.plot_reliability(judgement.test, folder / "reliability.png")
    draw_errors(folder / "errors.png", judgement, splits)
    samples = pick(splits.train, SAMPLES)
    captions = [f"{item.label}, {item.sample.source}" for item in samples]
    plots.plot_images([item.read() for item in samples], captions, folder / "samples.png")


def draw_explanations(path: Path, network: Network, bundle: Path, judgement: Judgement, items: Sequence[Item]) -> None:
    """Explain the least confident answers on the test split, as far as they are flagged as uncertain."""
    order = judgement.test.probabilities.max(axis=1).argsort(kind="stable")[:EXPLAINED]
    images = [items[int(position)].read() for position in order]
    recogniser = Recogniser.load(bundle)
    spec = recogniser.description.image
    explanations = explain_uncertain(network, spec, images, recogniser.predict(images))
    if explanations:
        explain_page(explanations).save(path)


def draw_errors(path: Path, judgement: Judgement, splits: Splits) -> None:
    """Draw the most confident errors on the test split and on the sources left out."""
    worst = [*worst_of(judgement.test, splits.test)]
    if judgement.unseen:
        worst += worst_of(judgement.unseen, splits.unseen)
    captions = [f"{item.label} taken for another at {sure:.3f}: {item.sample.source}" for item, sure in worst]
    plots.plot_images([item.read() for item, _ in worst], captions, path)


def worst_of(report: Report, items: Sequence[Item]) -> list[tuple[Item, float]]:
    """The items that were wrong with the most confidence, and that confidence."""
    return [(items[at], float(report.probabilities[at].max())) for at in report.worst(ERRORS // 2)]
