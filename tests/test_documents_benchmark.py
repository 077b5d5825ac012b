"""The measurement of the command line on documents, with a few of its own."""

import pytest

from benchmarks.documents import main


def test_documents_are_measured_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder and a PDF have a line each with pages, seconds and memory, and the same rows after an interruption."""
    assert main(["--lines", "24", "--pages", "1", "--pdf", "6"]) == 0
    folder, pdf = (line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:])
    assert (folder[0], folder[1], folder[2], folder[-1]) == ("| images", "25", "1", "yes |")
    assert (pdf[0], pdf[1], pdf[-1]) == ("| scans.pdf", "6", "yes |")
    assert all(float(line[column]) > 0 for line in (folder, pdf) for column in (3, 4, 5, 6))
