"""The edge to MLflow: opens the store quietly, and turns its exceptions into RegistryError.

Owns how the store is reached: folders of a SQLite store, time limits, telemetry (off), log levels.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import requests
import sqlalchemy
from google.protobuf.json_format import ParseError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.telemetry import set_telemetry_client
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from app.config import Settings, without_passwords
from app.errors import RegistryError

SQLITE = "sqlite:"
REMOTE = ("http:", "https:")
NOISY_LOGGERS = ("mlflow.store.db.utils", "mlflow.store.model_registry", "mlflow.tracking", "alembic")
PRESENT = "RESOURCE_ALREADY_EXISTS"
# The last four: MLflow takes an answer as it comes, also from a proxy or another program at the same address.
STORE_ERRORS = (
    MlflowException,
    SQLAlchemyError,
    requests.RequestException,
    OSError,
    ImportError,
    ParseError,
    ValueError,
    TypeError,
    OverflowError,
)
Item_co = TypeVar("Item_co", covariant=True)
# MLflow's own limits (7 tries of 120 seconds) would let a watch hang for minutes on a server that is down.
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would print the password of the URI
}


def open_client(settings: Settings) -> MlflowClient:
    """Open the store of *settings*, making a SQLite one if there is none; raises RegistryError."""
    quieten()
    uri = settings.mlflow_tracking_uri
    with at_edge(uri):
        if not uri.startswith(REMOTE):
            prepare_database(uri, settings.artifact_root)
        return MlflowClient(tracking_uri=uri)


def quieten() -> None:
    """Keep MLflow from phoning home, from waiting for minutes, and from telling of its migrations."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    set_telemetry_client()  # MLflow made one when it was imported; this drops it before it has anything to send
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def prepare_database(uri: str, artifact_root: Path) -> None:
    """Fail at once when the database cannot be opened (MLflow tries for minutes), and make its tables if it is empty.

    The tables are made here, under a lock, so that the default experiment's artifacts lie below *artifact_root* too,
    and that two processes that start together do not both migrate.
    """
    if not uri.startswith(SQLITE):
        has_tables(uri)
        return
    folder = folder_of(uri)
    folder.mkdir(parents=True, exist_ok=True)
    if not has_tables(uri):
        with locked(folder / ".making-tables.lock"):
            # Imported here, because it takes a second and 30 MB, and nobody needs it who reaches a server.
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

            SqlAlchemyStore(uri, artifact_root.resolve().as_uri())


def folder_of(uri: str) -> Path:
    """Name the folder that a SQLite store lies in."""
    return Path(make_url(uri).database or ".").parent


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other processes and threads that ask for the same lock file waiting; the same one must not be nested."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def has_tables(uri: str) -> bool:
    """Whether MLflow's tables are in the database; raises SQLAlchemyError when it cannot be opened."""
    engine = sqlalchemy.create_engine(uri, poolclass=NullPool)
    try:
        return "experiments" in sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


@contextmanager
def at_edge(uri: str) -> Iterator[None]:
    """Turn whatever MLflow, its database or its connection raises into a RegistryError with the URI and a remedy."""
    try:
        yield
    except STORE_ERRORS as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = without_passwords(
            f"the model registry at {uri} failed: {detail}; check MLFLOW_TRACKING_URI, and that the store is up "
            "and that this user may read and write it"
        )
        raise RegistryError(message) from error


class Page(Protocol[Item_co]):
    """A page of results, with the token of the next one."""

    token: str | None

    def __iter__(self) -> Iterator[Item_co]:
        """The results on this page."""


def pages(search: Callable[..., Page[Item_co]], **arguments: object) -> list[Item_co]:
    """All results of one of MLflow's paged searches."""
    found: list[Item_co] = []
    token = None
    while True:
        page = search(page_token=token, **arguments)
        found.extend(page)
        token = page.token
        if not token:
            return found


@contextmanager
def suppress_present() -> Iterator[None]:
    """Go on when what is to be created is there already, made by another process a moment ago."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != PRESENT:
            raise
