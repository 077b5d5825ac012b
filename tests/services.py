"""A running service with a registry in memory, for tests over HTTP, and the check of an error. Holds no tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from fastapi.testclient import TestClient
from httpx import Response

from app.inference.production import Production
from app.tasks import DOCUMENT_TYPE, PAGE_TEXT, Task
from app.webservice import create_app
from app.webservice.application import OpenWorkers, in_threads
from tests.bundles import make_bundle
from tests.fakes import FakeStore, ListLog, Shipped, opener
from tests.stores import settings_in

NAME = DOCUMENT_TYPE.name
OTHER = replace(DOCUMENT_TYPE, name="colour", labels=("black", "grey", "white"))


class Fixture:
    """A running service with its fakes; `production` is that of the task whose bundle the store has."""

    def __init__(self, client: TestClient, log: ListLog, store: FakeStore, production: Production) -> None:
        """Keep the parts that tests look at."""
        self.client, self.log, self.store, self.production = client, log, store, production

    def post(self, data: bytes, path: str = "/predict/", **options: object) -> Response:
        """Send a file."""
        return self.client.post(path, files={"file": ("line.png", data)}, **options)

    @property
    def own_path(self) -> str:
        """The path of that task."""
        return f"/predict/{self.production.task.name}/"


@contextmanager
def serving(
    folder: Path,
    *,
    task: Task = DOCUMENT_TYPE,
    bundle: bool = True,
    log: ListLog | None = None,
    open_workers: OpenWorkers = in_threads,
    **overrides: object,
) -> Iterator[Fixture]:
    """Serve with a registry in memory whose alias holds a tiny bundle of *task* as version 5."""
    settings = settings_in(folder, inference_threads=1, **overrides)
    store, log = FakeStore(), log or ListLog()
    if bundle:
        store.promote("5", make_bundle(folder / "five", task))
    productions = {each.name: Production(each, settings) for each in (DOCUMENT_TYPE, OTHER, task)}
    productions.setdefault(PAGE_TEXT.name, Shipped(PAGE_TEXT))
    app = create_app(settings, productions, log, opener(store), open_workers)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Fixture(client, log, store, productions[task.name])


def check_error(response: Response, status: int, code: str) -> str:
    """The response is that error in the promised shape, with the same id in body and header; returns the message."""
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) == {"code", "message", "request_id"}
    assert response.headers["X-Request-ID"] == response.json()["request_id"]
    return response.json()["message"]
