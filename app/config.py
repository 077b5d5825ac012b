"""The settings of PenPress: defaults, environment variables and `.env`, checked when they are read.

Every field can be set as an environment variable with the prefix `PENPRESS_` (for instance `PENPRESS_PORT=8080`);
`HOST`, `PORT` and `MLFLOW_TRACKING_URI` are also understood bare. A misspelt `PENPRESS_` key is refused; keys of other
programs, which may share the environment and `.env`, are left alone. Importing has no effect.
"""

import os
import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

APP = Path(__file__).resolve().parent
PREFIX = "PENPRESS_"
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Settings(BaseSettings):
    """All settings of the service, the registry and the training; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        dotenv_filtering="match_prefix",
        extra="ignore",  # what is unknown is refused below, with the names that were perhaps meant
        frozen=True,
        populate_by_name=True,
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
    prediction_log_max_bytes: int = Field(0, ge=0, description="size at which the log is put aside; 0: never")
    alias: str = "prod"
    alias_poll_seconds: float = Field(2.0, gt=0)
    max_upload_bytes: int = Field(20 * 1024 * 1024, ge=1024)
    max_pixels: int = Field(50_000_000, ge=1)
    max_pages: int = Field(20, ge=1, description="pages of one upload; more get 413")
    workers: int = Field(0, ge=0, description="processes that recognise; 0: threads, one for each processor")
    max_pending_requests: int = Field(64, ge=1, description="uploads in hand at once; more get 503")
    time_limit_seconds: float = Field(30.0, gt=0, description="for an upload to arrive, and again for its prediction")
    api_key_hashes: Annotated[
        tuple[Hash, ...], NoDecode, BeforeValidator(lambda value: value.split() if isinstance(value, str) else value)
    ] = Field((), description="SHA-256 of each key that may ask; none: anyone may")
    requests_per_minute: int = Field(0, ge=0, description="of each key; more get 429; 0: no limit")
    inference_threads: int = Field(
        1, ge=0, description="threads that one image is recognised with; 0: onnxruntime's choice"
    )
    page_threads: int = Field(
        0, ge=0, description="threads of the service that read one page; 0: one for each processor"
    )

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown(cls, values: Mapping[str, object]) -> Mapping[str, object]:
        """Refuse unknown `PENPRESS_...` keys: those of `.env` are in *values*, those of the environment nowhere."""
        variables = [name for name in os.environ if name.upper().startswith(PREFIX)]
        unknown = sorted(
            {variable_of(name) for name in (*values, *variables)} - set(map(variable_of, cls.model_fields))
        )
        if unknown:
            raise ValueError("; ".join(map(did_you_mean, unknown)))
        return values


def variable_of(name: str) -> str:
    """The variable with the prefix that sets a field; *name* is the field's, or that of any variable that sets it."""
    return PREFIX + name.upper().removeprefix(PREFIX)


def did_you_mean(unknown: str) -> str:
    """Say that a variable is unknown, and which known ones are nearest to it."""
    known = sorted(map(variable_of, Settings.model_fields))
    return f"there is no setting {unknown}; the nearest are {', '.join(get_close_matches(unknown, known) or known)}"


def read_settings() -> Settings:
    """Read the settings for a command; wrong ones end it with one line on standard error and the status 2."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{variable_of(str(each['loc'][0]))}={each['input']}: {each['msg']}"
            if each["loc"]
            else each["msg"].removeprefix("Value error, ")
            for each in error.errors()
        )
    except (OSError, UnicodeDecodeError) as error:
        wrong = f".env cannot be read: {error}"
    sys.stderr.write(f"wrong settings in the environment or in .env: {wrong}\n")
    sys.exit(2)


def without_passwords(text: str) -> str:
    """A text with the passwords of the addresses in it starred out, fit for messages and logs."""
    return re.sub(r"(://[^/@\s:]*:)[^/@\s]+@", r"\1***@", text)
