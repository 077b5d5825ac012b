"""The path that lists the tasks: which model answers for each, its labels, its limits and its figures."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.inference.production import Production
from app.webservice.answers import Limits
from app.webservice.service import Service


class ModelEntry(BaseModel):
    """What answers for a task. The version and what belongs to it is null or empty while nothing does."""

    task: str
    path: str = Field(description="where images are sent to")
    version: str | None = Field(description="version in the registry, or `embedded`")
    alias: str | None
    labels: list[str] = Field(description="in order; without a model, those of the task")
    uncertain_below: float | None = Field(description="calibrated confidence under which an answer is flagged")
    input_height: int
    input_width: int | None
    limits: Limits
    figures: dict[str, float] = Field(description="measured when the model was trained, see its card")


class Models(BaseModel):
    """Every task of the service, the main one first."""

    models: list[ModelEntry]


def listing(service: Service) -> APIRouter:
    """The route `/models`."""
    router = APIRouter()
    limits = Limits.model_validate(service.settings, from_attributes=True)

    async def models() -> Models:
        """List every task with the model that answers for it."""
        return Models(models=[describe(production, limits) for production in service.productions.values()])

    router.get("/models")(models)
    router.get("/models/", include_in_schema=False)(models)
    for path in ("/models", "/models/"):
        router.head(path, include_in_schema=False)(models)
    return router


def describe(production: Production, limits: Limits) -> ModelEntry:
    """One task; the live bundle is looked at once, so that the fields belong together."""
    live, task = production.live, production.task
    description = live.description if live else None
    image = description.image if description else task.image
    return ModelEntry(
        task=task.name,
        path=f"/predict/{task.name}/",
        version=live.version if live else None,
        alias=live.place.alias if live else None,
        labels=list(description.labels if description else task.labels),
        uncertain_below=description.uncertain_below if description else None,
        input_height=image.height,
        input_width=image.width,
        limits=limits,
        figures=description.figures if description else {},
    )
