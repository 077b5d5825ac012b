"""Memory that nothing uses goes back to the system."""

import subprocess
import sys
from pathlib import Path

import pytest

from app import heap
from app.config import APP
from tests.pages import draw_page, saved
from tests.services import serving

HOARD = """
import re, sys, threading
from pathlib import Path
from app import heap

def megabytes():
    return int(re.findall(r"^VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)[0]) / 1024

def spend():
    blocks = [bytearray(1000) for _ in range(60_000)]
    kept.append(blocks[-1])

kept = []
heap.share_one_arena()
threads = [threading.Thread(target=spend) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
before = megabytes()
heap.give_back()
print(before, megabytes())
"""


def test_memory_is_given_back_after_large_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a line takes is kept, what a page takes is given back."""
    given: list[str] = []
    monkeypatch.setattr(heap, "call", lambda name, *_: given.append(name))
    heap.give_back_after(heap.LARGE)
    assert not given
    heap.give_back_after(heap.LARGE + 1)
    assert given == ["malloc_trim"]


def test_answers_tell_how_large_their_image_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way of answering for an image says once how many pixels it had."""
    told: list[int] = []
    monkeypatch.setattr(heap, "give_back_after", told.append)
    page = draw_page(4)
    with serving(tmp_path) as service:
        for path in ("/predict/", "/predict/page/", "/explain/"):
            assert service.post(saved([page], "PNG"), path).status_code == 200
    assert told == [page.width * page.height] * 3


def test_what_threads_have_freed_is_given_back() -> None:
    """Of what four threads took and freed, little is left after it was given back."""
    command = [sys.executable, "-c", HOARD]
    found = subprocess.run(command, cwd=APP.parent, capture_output=True, text=True, check=True)  # noqa: S603
    before, after = map(float, found.stdout.split())
    assert after < before
    assert after < 60
