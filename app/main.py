"""Starts the service: `python -m app.main`, on port 9000 of this machine unless the settings say otherwise.

Owns the process: command line, logging, the port, the end. What it serves is `app/webservice`.
"""

import argparse
import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import uvicorn

from app import heap
from app.config import read_settings
from app.webservice import create_app
from app.webservice.observing import JsonLines
from app.webservice.processes import open_workers

ABOUT = """Serve the models in production over HTTP: POST /predict/, GET /health, and a reference at /docs.
Settings come from the environment (HOST, PORT, MLFLOW_TRACKING_URI, PENPRESS_...) or a file .env."""
GRACE_SECONDS = 10  # for requests that are being answered when the service is told to stop


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; returns 0, or 2 when the port cannot be used."""
    read_arguments(arguments)
    settings = read_settings()
    start_logging()
    heap.share_one_arena()
    app = create_app(settings, open_workers=open_workers)  # first, since its processes must not hold the port
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        sys.stderr.write(f"PenPress does not start: {error}\n")
        return 2
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS)
    logging.getLogger(__name__).info("http://%s:%s", settings.host, settings.port)
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):  # raised by uvicorn once it has ended in good order
        server.run(sockets=[listener])
    return 0 if server.started else 1


def read_arguments(arguments: Sequence[str] | None) -> None:
    """Answer `--help` and refuse everything else: settings come from the environment."""
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)


def start_logging() -> None:
    """Write everything that is logged as lines of JSON to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # an outage is reported once, not at every poll


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything is loaded; raises OSError with the remedy when that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio turns Nagle off for TCP only
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = f"cannot listen on {host}:{port} ({error.strerror}); stop what listens there or set PORT"
        raise OSError(error.errno, message) from error
    return listener


def end(code: int) -> NoReturn:
    """End the process, at once where a thread is left that nobody waits for, such as one that a registry keeps hanging.

    The interpreter would end such a thread in the middle of what it does, and some libraries then abort the process.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    end(main())
