"""Writes the model card: what a bundle is, what it was trained on, how good it is and where it is not."""

from collections.abc import Mapping
from pathlib import Path

from app.evaluate import Report
from app.inference.bundle import CARD, Description
from app.training.judge import Judgement
from app.training.quantise import describe_choice

SIGNS = "`|"  # which Markdown would take for its own
FEW = 5  # labels that a title has room for
MORE = {
    "validation_places_accuracy": "places of validation pages told rightly, as they lie and on their heads",
    "test_places_accuracy": "the same of test pages",
    "unseen_places_accuracy": "the same of sources left out",
    "test_top_5": "test images with the right label among the best five",
    "test_alike_accuracy": "test images answered rightly, or with a label that people cannot tell from the right one",
    "test_flagged": "test images flagged as uncertain",
    "strange_flagged": "images of none of the labels flagged as uncertain",
    "strange_unlike_flagged": "the same without those that people could take for one of the labels",
}


def write_card(bundle: Path, judgement: Judgement, options: Mapping[str, object]) -> None:
    """Write the card as `README.md` into the bundle, from the judgement and the options of the run."""
    description = judgement.description
    sections = [
        describe_model(description),
        "## Figures\n\nOf the exported model, run by the serving recogniser.\n\n" + table_of_splits(judgement),
        *more_sections(description),
        "## Precision\n\n" + describe_choice(description.figures, tried=options.get("quantise") != "never"),
        "## Confidence\n\nAnswers of the test split that are kept above a threshold, and their error rate.\n\n"
        + table_of_thresholds(judgement.test),
        "## Altered copies\n\nSome test images as they are, and the same ones altered.\n\n"
        + table_of_alterations(judgement),
        *(f"## Test split by {name}\n\n" + table_of_slice(judgement.test, name) for name in judgement.test.slices),
        *class_sections(judgement.test),
        *unseen_sections(judgement),
        "## How it was trained\n\n" + table_of_options(options),
    ]
    (bundle / CARD).write_text("\n\n".join(section.rstrip() for section in sections) + "\n", encoding="utf-8")


def describe_model(description: Description) -> str:
    """The head of the card."""
    origin, image = description.origin, description.image
    several = len(description.labels) > FEW
    labels = f"one of {len(description.labels)} labels" if several else " or ".join(description.labels)
    return f"""# {description.task}: {labels}

{origin.architecture} ({origin.strategy}), {origin.parameters:,} parameters.
Input {image.height} x {image.width or "any"} pixels, {"grey" if image.channels == 1 else "colour"},
fitted by *{image.fit}* after {", ".join(image.steps) or "no steps"}.
Temperature {description.temperature:.3f}; an answer below {description.uncertain_below} is flagged as uncertain.

| | |
|---|---|
| trained | {origin.trained_at} |
| commit | {origin.git_commit} |
| data | {origin.data} |
| data fingerprint | {origin.data_fingerprint} |
| MLflow run | {origin.run_id} |
| ms/image (single images, median) | {description.figures.get("milliseconds_per_image", float("nan")):.1f} |
| sha256 | {description.sha256} |"""


def table_of_splits(judgement: Judgement) -> str:
    """Overall figures of each split."""
    reports = {"validation": judgement.validation, "test": judgement.test, "sources left out": judgement.unseen}
    head = "| split | images | accuracy | precision | recall | F1 | ROC AUC | ECE | Brier |\n|---|" + "---:|" * 8
    rows = [
        f"| {name} | {report.count} | " + " | ".join(f"{value:.4f}" for value in headline(report)) + " |"
        for name, report in reports.items()
        if report
    ]
    return "\n".join([head, *rows])


def headline(report: Report) -> tuple[float, ...]:
    """The overall figures in the order of the table."""
    return (report.accuracy, report.precision, report.recall, report.f1, report.roc_auc, report.ece, report.brier)


def table_of_thresholds(report: Report) -> str:
    """Coverage and error by threshold."""
    rows = [f"| {row.threshold} | {row.coverage:.4f} | {row.error:.4f} |" for row in report.kept]
    return "\n".join(["| threshold | kept | error among the kept |\n|---:|---:|---:|", *rows])


def table_of_alterations(judgement: Judgement) -> str:
    """Accuracy and calibration on altered copies, with the difference to the same images unaltered."""
    rows = [row_of_copy("unaltered", judgement.unaltered, "")]
    for name, copy in judgement.altered.items():
        points = 100 * (copy.accuracy - judgement.unaltered.accuracy)
        rows.append(row_of_copy(name, copy, f"{points:+.1f}"))
    return "\n".join(["| copy | images | accuracy | difference in points | ECE |\n|---|---:|---:|---:|---:|", *rows])


def row_of_copy(name: str, report: Report, points: str) -> str:
    """One row of the table of altered copies."""
    return f"| {name} | {report.count} | {report.accuracy:.4f} | {points} | {report.ece:.4f} |"


def table_of_slice(report: Report, name: str) -> str:
    """Figures by the values of one slice."""
    rows = [
        f"| {value} | {figures.count} | {figures.accuracy:.4f} | {figures.ece:.4f} |"
        for value, figures in report.slices[name].items()
    ]
    return "\n".join([f"| {name} | images | accuracy | ECE |\n|---|---:|---:|---:|", *rows])


def unseen_sections(judgement: Judgement) -> list[str]:
    """The sources that the model never saw, where some were left out."""
    if judgement.unseen is None:
        return []
    return ["## Sources left out of training\n\n" + table_of_slice(judgement.unseen, "source")]


def more_sections(description: Description) -> list[str]:
    """The figures that only some models have, where this one has any."""
    figures = description.figures
    rows = [f"| {MORE[name]} | {figures[name]:.4f} |" for name in MORE if name in figures]
    return ["\n".join(["| share of | |\n|---|---:|", *rows])] if rows else []


def class_sections(report: Report) -> list[str]:
    """Figures by class, where there are more than two."""
    if len(report.labels) <= 2:  # noqa: PLR2004 - two are told by the overall figures
        return []
    head = "## Test split by class\n\n| class | images | precision | recall | F1 |\n|---|" + "---:|" * 4
    rows = [
        f"| {as_code(label)} | {each.support} | {each.precision:.4f} | {each.recall:.4f} | {each.f1:.4f} |"
        for label, each in report.per_class.items()
    ]
    return ["\n".join([head, *rows])]


def as_code(label: str) -> str:
    """A label as Markdown shows it in a table, whatever sign it is."""
    return f"<code>{''.join(f'&#{ord(letter)};' for letter in label)}</code>" if label in SIGNS else f"`{label}`"


def table_of_options(options: Mapping[str, object]) -> str:
    """The options of the run; a path is shown by its last part alone."""
    rows = [f"| {name} | {show(value)} |" for name, value in options.items()]
    return "\n".join(["| option | value |\n|---|---|", *rows])


def show(value: object) -> str:
    """An option as text: lists without brackets, of absolute paths the file name, since cards are published."""
    if isinstance(value, list):
        return ", ".join(map(show, value)) or "none"
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else str(value)
