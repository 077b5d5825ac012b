"""Runs a bundle: images in, predictions out. The only module of the service that imports onnxruntime."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort
from PIL.Image import Image, fromarray

from app.errors import BundleError
from app.inference.bundle import DESCRIPTION, MAPS, MODEL, Description, read_description
from app.preprocess import contrast_of, read_image, to_batch, views_of
from app.stopwatch import stage
from app.tasks import PLACE, TASKS, Prediction, low_confidence

BATCH = 16
MULTIPLE = 32  # pixels: of which the sides of pages are multiples
PROBE_TOLERANCE = 0.01  # other processors and releases of onnxruntime round differently, never by this much
Logits = NDArray[np.float32]
Pixels = NDArray[np.float32]
# What a model that does not fit its description can raise: onnxruntime's own errors; the built-in ones that its binding
# makes of C++ errors; those of NumPy and Pillow for widths that cannot be stacked, sizes beyond the memory, or outputs
# that are no numbers. All mean that this bundle cannot be used, so none of them may end the thread that tries it.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    *(error for error in vars(ort).values() if isinstance(error, type) and issubclass(error, Exception)),
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)

NOT_COUNTED = " (less one for text on its head, which models from before 28 November 2026 have not; train anew)"


class Recogniser:
    """A loaded bundle. Thread-safe: onnxruntime sessions may run from several threads at once."""

    def __init__(self, description: Description, session: onnxruntime.InferenceSession) -> None:
        """Keep what `load` has read and checked."""
        self.description = description
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]
        self._any_size = any(isinstance(side, str) for side in session.get_inputs()[0].shape[2:])
        task = TASKS.get(description.task)
        self._of_places = self._any_size and task is not None and task.places

    @classmethod
    def load(cls, directory: Path, threads: int = 0) -> Self:
        """Read and check the bundle in *directory* and open its model; raises BundleError."""
        description, session = read_description(directory), open_session(directory / MODEL, threads)
        if len(inputs := session.get_inputs()) != 1:
            message = f"{directory / MODEL} has {len(inputs)} inputs instead of one for the images; export it anew"
            raise BundleError(message)
        return cls(description, session)

    def predict(self, images: Sequence[Image]) -> list[Prediction]:
        """Recognise RGB images, in order; each answer keeps the most probable label and its calibrated confidence."""
        logits = self.logits(images)
        rows = softmax(logits / np.float32(self.description.temperature))
        contrasts = [contrast_of(image) if self.description.blank_below else 0 for image in images]
        return [
            self._decide(row, contrast, float(standing))
            for row, contrast, standing in zip(rows, contrasts, prominence(logits), strict=True)
        ]

    def probabilities(self, images: Sequence[Image]) -> Logits:
        """Calibrated probabilities of shape (n, labels), in label order."""
        return softmax(self.logits(images) / np.float32(self.description.temperature))

    def logits(self, images: Sequence[Image]) -> Logits:
        """The network's outputs before calibration, of shape (n, labels), in batches of at most 16 images."""
        rows = [self._run(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate(rows) if rows else np.empty((0, len(self.description.labels)), np.float32)

    @property
    def has_maps(self) -> bool:
        """Whether the model was exported with maps."""
        return MAPS in self._outputs

    def look(self, batch: Pixels) -> Logits:
        """The logits of network inputs, shapes (n, channels, height, width) and (n, labels), as they are: no views."""
        logits = np.asarray(self._session.run(self._outputs[:1], {self._input: batch}, self._options())[0], np.float32)
        return logits[:, :-1] if self._of_places else logits  # the last tells of text that stands on its head

    def maps(self, image: Image) -> Logits:
        """The evidence for every output, those of labels first, of shape (outputs, rows, columns), in logits.

        Raises BundleError for a model that was exported without maps.
        """
        if not self.has_maps:
            message = f"the model has no output {MAPS!r}, so its answers cannot be shown on the image; train it anew"
            raise BundleError(message)
        batch = to_batch([image], self.description.image)
        return np.asarray(self._session.run([MAPS], {self._input: batch})[0][0], np.float32)

    def places(self, page: NDArray[np.uint8]) -> Logits:
        """The probability of every label at every place of a page, and last that text stands on its head there.

        *page* is grey, of shape (height, width), any size; the answer has the shape (labels + 1, rows, columns), a
        place being 2 x 2 pixels. Raises BundleError for a model that was not trained to say where these are.
        """
        height, width = page.shape
        padding = (0, -height % MULTIPLE), (0, -width % MULTIPLE)
        padded = np.pad(page, padding, constant_values=int(np.median(page)))
        spec = self.description.image.model_copy(update={"height": padded.shape[0], "width": padded.shape[1]})
        batch = to_batch([fromarray(padded)], spec)
        try:
            logits, maps = self._session.run([self._outputs[0], MAPS], {self._input: batch}, self._options())
        except RUNTIME_ERRORS as error:
            message = f"the model does not say where on a page of {width} x {height} pixels its labels are: {error}"
            raise BundleError(message) from error
        bias = logits - maps.mean(axis=(2, 3))  # a map's mean and the bias of its label are the label's logit
        rows, columns = -(-height // PLACE), -(-width // PLACE)
        return np.asarray(1 / (1 + np.exp(-(maps + bias[..., None, None])[0, :, :rows, :columns])), np.float32)

    def check_probes(self, directory: Path) -> None:
        """Raise BundleError when the probe images of the bundle do not give the recorded probabilities."""
        for probe in self.description.probes:
            found = self.probabilities([read_image((directory / probe.file).read_bytes())])[0]
            if not np.allclose(found, probe.probabilities, rtol=0, atol=PROBE_TOLERANCE):
                message = f"probe {probe.file} gives {found.tolist()}, recorded are {list(probe.probabilities)}"
                raise BundleError(message)

    def _options(self) -> onnxruntime.RunOptions | None:
        """Where images may have any size, those for giving back memory after a run: that of a page is large."""
        if not self._any_size:
            return None
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return options

    def _run(self, images: Sequence[Image]) -> Logits:
        try:
            with stage("preprocess"):
                batch = to_batch(images, self.description.image)
            with stage("infer"):
                logits = self._with_views(batch)
        except RUNTIME_ERRORS as error:
            message = f"the model does not take input as {DESCRIPTION} has it ({self.description.image}): {error}"
            raise BundleError(message) from error
        if logits.shape != (len(images), len(self.description.labels)):
            message = f"the model gives {logits.shape} outputs for {len(images)} images and the labels of {DESCRIPTION}"
            raise BundleError(message + (NOT_COUNTED if self._of_places else ""))
        return logits

    def _with_views(self, batch: Pixels) -> Logits:
        """The logits of a batch: of the images as they are, or the means over their views."""
        logits = self.look(batch)
        if self.description.views == "off":
            return logits
        confidence = softmax(logits / np.float32(self.description.temperature)).max(axis=1)
        least = self.description.uncertain_below if self.description.views == "uncertain" else np.inf
        for number in np.flatnonzero(confidence < least):
            logits[number] = self.look(views_of(batch[number], self.description.view_set)).mean(axis=0)
        return logits

    def _decide(self, row: Logits, contrast: int, standing: float) -> Prediction:
        labels = self.description.labels
        best = int(row.argmax())
        confidence = float(row[best])
        reasons = tuple(self._doubts(confidence, contrast, standing))
        return Prediction(
            label=labels[best],
            confidence=confidence,
            probabilities=dict(zip(labels, map(float, row), strict=True)),
            uncertain=bool(reasons),
            reasons=reasons,
        )

    def _doubts(self, confidence: float, contrast: int, standing: float) -> Iterator[str]:
        threshold, blank = self.description.uncertain_below, self.description.blank_below
        strange = self.description.strange_below
        yield from low_confidence(confidence, threshold)
        if contrast < blank:
            yield f"the image seems blank: its grey values span {contrast}, under {blank}"
        if strange is not None and standing < strange:
            yield f"this is unlike what was learnt: the best label stands out by {standing:.1f}, under {strange:.1f}"


def open_session(model: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open an ONNX file on the CPU with *threads* threads (0: onnxruntime's choice); raises BundleError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except RUNTIME_ERRORS as error:
        message = f"{model} cannot be opened by onnxruntime: {error}"
        raise BundleError(message) from error


def prominence(logits: Logits) -> Logits:
    """How far the best label stands out from the mean of all, of shape (n,) for logits of shape (n, labels)."""
    return np.asarray(logits.max(axis=-1) - logits.mean(axis=-1), np.float32)


def softmax(logits: Logits) -> Logits:
    """Probabilities along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)
