"""Calibrates and judges a bundle through the serving recogniser: validation, test, sources left out, altered copies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.errors import InputError
from app.evaluate import ALTERATIONS, Case, Report, alike_accuracy, altered, answers_of, evaluate, evaluate_places
from app.inference.bundle import Description, read_description
from app.inference.promotion import milliseconds_each
from app.inference.recogniser import BATCH, Recogniser, prominence
from app.tasks import Task
from app.training.dataset import Item, is_alike
from app.training.export import Logits, fit_temperature, record_probes
from app.training.feeding import Splits

CALIBRATED = 2000


@dataclass(frozen=True)
class Judgement:
    """Reports of a finished bundle; `unseen` is None where no source was left out.

    `altered` has a report for every alteration of the same images, which `unaltered` is about.
    """

    description: Description
    validation: Report
    test: Report
    unseen: Report | None
    unaltered: Report
    altered: dict[str, Report]


def pick(items: Sequence[Item], count: int) -> list[Item]:
    """At most *count* items, evenly over the whole, always the same ones."""
    if len(items) <= count:
        return list(items)
    return [items[int(position)] for position in np.linspace(0, len(items) - 1, count)]


def calibrate(bundle: Path, validation: Sequence[Item], strange_share: float = 0.0) -> None:
    """Fit the temperature on validation images, half of them altered, since senders' images are; write it down.

    So is the prominence under which an image counts as unlike all that was learnt, which *strange_share* of the
    validation images fall short of as they are. Where uncertain images are looked at again, the first fit decides which
    those are, and the second is made with them.
    """
    for _ in range(2 if read_description(bundle).views == "uncertain" else 1):
        fit(bundle, validation, strange_share)


def fit(bundle: Path, validation: Sequence[Item], strange_share: float) -> None:
    """Fit temperature and prominence to the answers that the bundle gives as it is."""
    recogniser = Recogniser.load(bundle)
    labels = list(recogniser.description.labels)
    plain = [item.case() for item in pick(validation, CALIBRATED)]
    cases = mixed_cases(plain)
    parts = [slice(start, start + BATCH) for start in range(0, len(cases), BATCH)]
    shown = tqdm(parts, desc="calibrate", unit="batch", mininterval=2)
    logits = np.concatenate([logits_of(recogniser, cases[part], plain[part]) for part in shown])
    truths = np.array([labels.index(case.label) for case in cases])
    below = float(np.quantile(prominence(logits[::2]), strange_share)) if strange_share else None
    record_probes(bundle, temperature=fit_temperature(logits, truths), strange_below=below)


def logits_of(recogniser: Recogniser, cases: Sequence[Case], plain: Sequence[Case]) -> Logits:
    """The logits of a batch, or of the images as they are where an alteration left nothing to recognise."""
    try:
        return recogniser.logits([case.read() for case in cases])
    except InputError:
        return recogniser.logits([case.read() for case in plain])


def mixed_cases(cases: Sequence[Case]) -> list[Case]:
    """Every other case as it is, the rest altered in turn in each of the known ways."""
    names = list(ALTERATIONS)
    chosen = list(cases)
    for number, index in enumerate(range(1, len(chosen), 2)):
        chosen[index] = altered([chosen[index]], names[number % len(names)])[0]
    return chosen


def judge(bundle: Path, splits: Splits, judged: int, task: Task) -> Judgement:
    """Evaluate the bundle on each split and on altered copies of *judged* test images; records the figures in it."""
    recogniser = Recogniser.load(bundle)
    labels = recogniser.description.labels

    def report(cases: Sequence[Case], name: str) -> Report:
        return evaluate(recogniser.predict, cases, labels, progress=f"judge, {name}")

    validation = report([item.case() for item in splits.validation], "validation")
    test = report([item.case() for item in splits.test], "test")
    unseen = report([item.case() for item in splits.unseen], "unseen") if splits.unseen else None
    cases = [item.case() for item in pick(splits.test, judged)]
    unaltered = report(cases, "unaltered")
    copies = {name: report(altered(cases, name), name) for name in ALTERATIONS}
    figures = {
        **recogniser.description.figures,
        **validation.figures("validation"),
        **test.figures("test"),
        **(unseen.figures("unseen") if unseen else {}),
        **{f"{name}_accuracy": copy.accuracy for name, copy in {"unaltered": unaltered, **copies}.items()},
        **alike_figures(test, task),
        **(places_figures(recogniser, splits) if task.places else {}),
        **strange_figures(recogniser, test, [item for item in splits.strange if item.sample.split == "test"], task),
        "milliseconds_per_image": milliseconds_each([recogniser], cases)[0],
    }
    return Judgement(record_probes(bundle, figures=figures), validation, test, unseen, unaltered, copies)


def alike_figures(test: Report, task: Task) -> dict[str, float]:
    """The accuracy when labels that people cannot tell apart may be taken for each other, where the task has such."""
    if not any(len(set(group) & set(task.labels)) > 1 for group in task.alike):
        return {}
    predicted = test.probabilities.argmax(axis=1)
    return {"test_alike_accuracy": alike_accuracy(test.truths, predicted, test.labels, task.alike)}


def places_figures(recogniser: Recogniser, splits: Splits) -> dict[str, float]:
    """How well each split is told place by place, which is what the network is for."""
    parts = {"validation": splits.validation, "test": splits.test, "unseen": splits.unseen}
    reports = {
        name: evaluate_places(recogniser.places, [item.read_places for item in items], f"judge places, {name}")
        for name, items in parts.items()
        if items
    }
    return {name: value for split, report in reports.items() for name, value in report.figures(split).items()}


def strange_figures(recogniser: Recogniser, test: Report, strange: Sequence[Item], task: Task) -> dict[str, float]:
    """The shares of answers that are flagged: on the test split, and on images that are none of the task's labels.

    The latter also without those that people could take for one of the labels.
    """
    if not strange:
        return {}
    flags, alike = [], [is_alike(item, task) for item in strange]
    for start in tqdm(range(0, len(strange), BATCH), desc="judge, strange", unit="batch", mininterval=2):
        images = [item.read() for item in strange[start : start + BATCH]]
        flags += [answer.uncertain for answer in answers_of(recogniser.predict, images, recogniser.description.labels)]
    unlike = [flag for flag, same in zip(flags, alike, strict=True) if not same]
    figures = {"test_flagged": test.uncertain, "strange_flagged": float(np.mean(flags))}
    return figures | ({"strange_unlike_flagged": float(np.mean(unlike))} if unlike else {})
