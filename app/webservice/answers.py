"""What the service answers with, as documented models with promised fields, and the log line of an answer."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.inference.production import Live, Production
from app.prediction_log import Entry
from app.tasks import Prediction

BEST = 5


class Choice(BaseModel):
    """A label and how probable it is."""

    label: str = Field(description="one of the labels of the model")
    probability: float = Field(ge=0, le=1, description="its calibrated probability")


class Answer(BaseModel):
    """What was recognised, how sure the model is, and which model said so."""

    predicted_class: str = Field(description="the most probable label, or the text for a task that transcribes")
    confidence: float = Field(ge=0, le=1, description="calibrated probability of that label")
    probabilities: dict[str, float] = Field(description="calibrated probability of every label")
    uncertain: bool = Field(description="true when a person should look at it")
    reasons: list[str] = Field(description="why the answer is uncertain; empty when it is not")
    model_name: str = Field(description="the task, which is also the name of the registered model")
    model_version: str = Field(description="version in the registry, or `embedded`")
    model_alias: str | None = Field(description="the alias that the version held when it was loaded")
    prediction_time_ms: float = Field(ge=0, description="reading the image and recognising it, in milliseconds")
    request_id: str = Field(description="as in the header X-Request-ID and in the prediction log")


def fields_of(live: Live, milliseconds: float, request_id: str) -> dict[str, Any]:
    """The fields that every answer ends with: which model gave it, in what time, to which request."""
    return {
        "model_name": live.description.task,
        "model_version": live.version,
        "model_alias": live.place.alias,
        "prediction_time_ms": milliseconds,
        "request_id": request_id,
    }


def entry_of(prediction: Prediction, live: Live, data: bytes, request_id: str, milliseconds: float) -> Entry:
    """The log line of a prediction: the upload is known in it by hash and size only."""
    return Entry(
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        request_id=request_id,
        input_sha256=hashlib.sha256(data).hexdigest(),
        input_bytes=len(data),
        task=live.description.task,
        model_version=live.version,
        label=prediction.label,
        confidence=prediction.confidence,
        uncertain=prediction.uncertain,
        milliseconds=milliseconds,
    )


class AnswerForPage(Answer):
    """The answer for an image that is a whole page: the fields of every answer, and what the page is made of."""

    orientation: int = Field(description="degrees counterclockwise by which the page was turned to be upright")
    mixed: bool = Field(description="true when both kinds of writing carry a real share of the page")
    handwritten_ratio: float = Field(ge=0, le=1, description="share of the writing, by area, that is handwritten")
    lines: dict[str, int] = Field(description="how many lines of each class were found")


class TaskAnswer(Answer):
    """The answer of `/predict/{task}/`: for tasks of many labels, with the best of them in order."""

    top: list[Choice] = Field(description="the five most probable labels, the most probable first")


class TaskAnswerForPage(AnswerForPage, TaskAnswer):
    """The answer of `/predict/{task}/` for an image that is a whole page."""


def with_top(answer: Answer) -> TaskAnswer:
    """Add the most probable labels, at most five, the most probable first."""
    ranked = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])[:BEST]
    top = [Choice(label=label, probability=min(1.0, probability)) for label, probability in ranked]
    form = TaskAnswerForPage if isinstance(answer, AnswerForPage) else TaskAnswer
    return form(**answer.model_dump(), top=top)


class ErrorAnswer(BaseModel):
    """Every error of the service has this shape."""

    code: str = Field(description="stable, for programs")
    message: str = Field(description="for people: the offending value and the remedy")
    request_id: str


class Limits(BaseModel):
    """What the service accepts."""

    max_upload_bytes: int
    max_pixels: int
    max_pages: int
    max_pending_requests: int
    time_limit_seconds: float


class RefusedVersion(BaseModel):
    """A version that held the alias but failed a check, so that it was not taken."""

    version: str
    reason: str
    refused_at: datetime


class TaskHealth(BaseModel):
    """Which bundle answers for a task. The `model_...` fields and those of the bundle are null while there is none."""

    status: Literal["ok", "degraded", "starting", "absent"] = Field(
        description="`ok`: what holds the alias answers; `degraded`: something else does, see `problems`; `starting`: "
        "the registry has not been asked yet; `absent`: there is no model"
    )
    problems: list[str]
    model_name: str
    model_version: str | None
    model_alias: str | None
    run_id: str | None
    sha256: str | None = Field(description="of model.onnx")
    labels: list[str] | None
    loaded_at: datetime | None
    refused: list[RefusedVersion]


class Health(TaskHealth):
    """The state of the service: that of the main task, the limits, and every other task."""

    limits: Limits
    uptime_seconds: float
    tasks: dict[str, TaskHealth]


def task_health(production: Production) -> TaskHealth:
    """The state of one task; the live bundle is looked at once, so the fields belong together."""
    live, problem = production.live, production.problem
    return TaskHealth(
        status=production.status,
        problems=[problem] if problem else [],
        model_name=production.task.name,
        model_version=live.version if live else None,
        model_alias=live.place.alias if live else None,
        run_id=live.place.run_id if live else None,
        sha256=live.description.sha256 if live else None,
        labels=list(live.description.labels) if live else None,
        loaded_at=live.place.loaded_at if live else None,
        refused=[RefusedVersion.model_validate(refusal, from_attributes=True) for refusal in production.refused],
    )
