"""The prediction log on disk: whole lines, torn lines, threads, rotation, and a log that cannot be written."""

import json
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import PredictionLogError
from app.prediction_log import Entry, PredictionFile

ENTRY = Entry("2026-01-01T00:00:00.000+00:00", "id", "0" * 64, 10, "document_type", "1", "printed", 0.9, False, 1.5)  # noqa: FBT003


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> PredictionFile:
    return PredictionFile(tmp_path / "new" / "predictions.log")


def lines(log: PredictionFile) -> list[str]:
    """The lines of the file."""
    return log.path.read_text("utf-8").splitlines()


def test_an_entry_is_one_json_line_with_all_fields(log: PredictionFile) -> None:
    """Each entry comes back from its line as it was."""
    log.append(ENTRY)
    log.append(replace(ENTRY, label="Grüße\n„zwei“"))
    assert [Entry(**json.loads(line)) for line in lines(log)] == [ENTRY, replace(ENTRY, label="Grüße\n„zwei“")]


def test_the_fields_are_those_promised() -> None:
    """Nothing of the image and no file name has a place in the log."""
    assert list(asdict(ENTRY)) == [
        "time",
        "request_id",
        "input_sha256",
        "input_bytes",
        "task",
        "model_version",
        "label",
        "confidence",
        "uncertain",
        "milliseconds",
    ]


def test_checking_makes_an_empty_log(log: PredictionFile) -> None:
    """A check makes the folder and the file, and writes nothing into them."""
    log.check()
    assert log.path.read_bytes() == b""


def test_others_may_not_read_the_log(log: PredictionFile) -> None:
    """The file is for the service's user and group."""
    log.check()
    assert log.path.stat().st_mode & 0o007 == 0


def test_threads_do_not_mix_their_lines(log: PredictionFile) -> None:
    """Lines that several threads append at once are all there, each whole."""
    barrier = threading.Barrier(8)

    def append(number: int) -> None:
        barrier.wait(30)
        for part in range(50):
            log.append(replace(ENTRY, request_id=f"{number}-{part}", label="x" * 500))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(8)))
    assert {json.loads(line)["request_id"] for line in lines(log)} == {f"{n}-{p}" for n in range(8) for p in range(50)}


def test_a_torn_last_line_is_set_aside(log: PredictionFile, caplog: pytest.LogCaptureFixture) -> None:
    """A line that was cut short is moved to a file of its own at the start, which is told; the log is whole again."""
    log.append(ENTRY)
    for torn in ('{"time": "20', '{"time": "21'):
        with log.path.open("a") as file:
            file.write(torn)
        log.check()
        assert len(lines(log)) == 1
        assert "torn line of 12 bytes" in caplog.text
    log.append(ENTRY)
    assert [Entry(**json.loads(line)) for line in lines(log)] == [ENTRY, ENTRY]
    assert aside(log) == ['{"time": "20', '{"time": "21']


def test_a_log_that_is_but_a_torn_line_is_emptied(log: PredictionFile) -> None:
    """Also the first line may be the torn one."""
    log.path.parent.mkdir()
    log.path.write_bytes(b"{")
    log.append(ENTRY)
    assert (len(lines(log)), aside(log)) == (1, ["{"])


def aside(log: PredictionFile) -> list[str]:
    """The torn lines that were set aside."""
    return log.path.with_name("predictions.log.torn").read_text("utf-8").splitlines()


def test_a_removed_or_rotated_log_is_begun_anew(log: PredictionFile) -> None:
    """Moving the file away loses no later line."""
    log.append(ENTRY)
    log.path.rename(log.path.with_suffix(".1"))
    log.append(ENTRY)
    assert len(lines(log)) == 1


def test_a_log_that_cannot_be_opened_names_the_remedy(tmp_path: Path) -> None:
    """A folder in the place of the log is an error with the path and the setting."""
    with pytest.raises(PredictionLogError, match="PENPRESS_PREDICTION_LOG_REQUIRED"):
        PredictionFile(tmp_path).append(ENTRY)


def test_a_full_disk_is_an_error() -> None:
    """What the device does not take is never counted as written."""
    with pytest.raises(PredictionLogError, match="No space left"):
        PredictionFile(Path("/dev/full")).append(ENTRY)


def test_a_line_that_is_taken_in_part_is_an_error(log: PredictionFile) -> None:
    """When the file may grow by a few bytes only, the entry fails, and what was taken of it is set aside."""
    log.append(ENTRY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 10, hard))
    try:
        with pytest.raises(PredictionLogError, match="took 10 of"):
            log.append(ENTRY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.append(ENTRY)
    first, last = lines(log)
    assert (first, [len(torn) for torn in aside(log)]) == (last, [10])


def test_a_full_log_is_put_aside_and_no_line_is_lost(tmp_path: Path) -> None:
    """Several writers on one small log leave every line once, in files of the size, whose names tell their order."""
    logs = [PredictionFile(tmp_path / "predictions.log", max_bytes=2000) for _ in range(4)]

    def append(number: int) -> None:
        for part in range(60):
            logs[number].append(replace(ENTRY, request_id=f"{number}-{part}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    aside = sorted(tmp_path.glob("predictions.log.*"))
    assert len(aside) > 10
    assert all(2000 <= path.stat().st_size < 2500 for path in aside)
    files = [*aside, tmp_path / "predictions.log"]
    told = [json.loads(line)["request_id"] for path in files for line in path.read_text("utf-8").splitlines()]
    assert sorted(told) == sorted(f"{number}-{part}" for number in range(4) for part in range(60))
    assert [each for each in told if each.startswith("2-")] == [f"2-{part}" for part in range(60)]


def test_files_that_are_collected_never_overwrite_each_other(tmp_path: Path) -> None:
    """A name is used once, also when all that were put aside before have been moved away; it is a time in UTC."""
    log, archive = PredictionFile(tmp_path / "predictions.log", max_bytes=1), tmp_path / "archive"
    archive.mkdir()
    start = datetime.now(UTC)
    for number in range(5):
        log.append(replace(ENTRY, request_id=str(number)))
        for path in tmp_path.glob("predictions.log.*"):
            path.rename(archive / path.name)
    collected = sorted(archive.iterdir())
    assert [json.loads(path.read_text("utf-8"))["request_id"] for path in collected] == ["0", "1", "2", "3"]
    times = [
        datetime.strptime(path.name, "predictions.log.%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC) for path in collected
    ]
    assert start <= times[0] <= times[-1] <= datetime.now(UTC)


def test_without_a_size_the_log_stays_one_file(log: PredictionFile) -> None:
    """By default nothing is renamed."""
    for _ in range(100):
        log.append(ENTRY)
    assert list(log.path.parent.iterdir()) == [log.path]
