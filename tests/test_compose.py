"""The composition of containers: which settings of `.env` reach the service, and which stay those of its container."""

from pathlib import Path

import pytest
import yaml

from app.config import Settings

ROOT = Path(__file__).resolve().parents[1]
SERVICE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]["service"]


def settings_within(monkeypatch: pytest.MonkeyPatch, file: dict[str, str]) -> Settings:
    """The settings in the container, with these lines in `.env`: what Compose fixes is stronger than the file."""
    assert SERVICE["env_file"] == [{"path": ".env", "required": False}]
    fixed = {name: str(value) for name, value in SERVICE["environment"].items() if value is not None}
    for name, value in (file | fixed).items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_settings_in_the_file_reach_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, a limit and the alias count in the container as they do without one."""
    lines = {"PENPRESS_API_KEY_HASHES": "a" * 64, "PENPRESS_WORKERS": "2", "PENPRESS_ALIAS": "canary"}
    settings = settings_within(monkeypatch, lines)
    assert (settings.api_key_hashes, settings.workers, settings.alias) == (("a" * 64,), 2, "canary")


@pytest.mark.parametrize("prefix", ["", "PENPRESS_"])
def test_where_the_service_listens_and_its_store_are_the_containers(
    monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """An address, a port and a registry that are meant for a service outside of it do not make it unreachable."""
    lines = {"HOST": "127.0.0.1", "PORT": "8080", "MLFLOW_TRACKING_URI": "http://localhost:5000"}
    settings = settings_within(monkeypatch, {prefix + name: value for name, value in lines.items()})
    assert (settings.host, settings.mlflow_tracking_uri) == ("0.0.0.0", "http://mlflow:5000")  # noqa: S104
    assert SERVICE["ports"] == [f"9000:{settings.port}"]
    assert str(SERVICE["environment"]["PORT"]) == str(settings.port)  # which the health check of the image asks
