"""The settings of PenPress: defaults, environment variables and `.env`, checked when they are read.

Every field can be set as an environment variable with the prefix `PENPRESS_` (for instance `PENPRESS_PORT=8080`);
`HOST`, `PORT` and `MLFLOW_TRACKING_URI` are also understood bare. A misspelt key is refused. Importing has no effect.
"""

import os
from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

APP = Path(__file__).resolve().parent
PREFIX = "PENPRESS_"


class Settings(BaseSettings):
    """All settings of the service, the registry and the training; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="forbid", frozen=True, populate_by_name=True
    )

    host: str = Field("127.0.0.1", validation_alias=AliasChoices("PENPRESS_HOST", "HOST"))
    port: int = Field(9000, ge=1, le=65535, validation_alias=AliasChoices("PENPRESS_PORT", "PORT"))
    mlflow_tracking_uri: str = Field(
        f"sqlite:///{APP}/training/mlruns/mlflow.db",
        validation_alias=AliasChoices("PENPRESS_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"),
    )
    artifact_root: Path = APP / "training" / "mlruns"
    datasets: Path = APP / "data" / "datasets"
    embedded: Path = APP / "inference" / "embedded"
    checkpoints: Path = APP / "training" / "checkpoints"
    pretrained: Path = APP / "training" / "pretrained"
    bundle_cache: Path = APP / "inference" / "cache"
    prediction_log: Path = APP / "webservice_predictions" / "predictions.log"
    prediction_log_required: bool = True
    alias: str = "prod"
    alias_poll_seconds: float = Field(2.0, gt=0)
    max_upload_bytes: int = Field(20 * 1024 * 1024, ge=1024)
    max_pixels: int = Field(50_000_000, ge=1)
    max_pending_requests: int = Field(64, ge=1, description="uploads in hand at once; more get 429")
    inference_threads: int = Field(0, ge=0, description="threads of one inference session; 0 leaves it to onnxruntime")

    @model_validator(mode="after")
    def refuse_unknown_variables(self) -> Self:
        """Refuse a misspelt `PENPRESS_...` variable, which pydantic-settings itself would ignore."""
        known = {(PREFIX + name).upper() for name in type(self).model_fields}
        unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
        if unknown:
            message = f"unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            raise ValueError(message)
        return self
