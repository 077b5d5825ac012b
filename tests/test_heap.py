"""Memory that nothing uses goes back to the system."""

import subprocess
import sys

from app.config import APP

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


def test_what_threads_have_freed_is_given_back() -> None:
    """Of what four threads took and freed, little is left after it was given back."""
    command = [sys.executable, "-c", HOARD]
    found = subprocess.run(command, cwd=APP.parent, capture_output=True, text=True, check=True)  # noqa: S603
    before, after = map(float, found.stdout.split())
    assert after < before
    assert after < 60
