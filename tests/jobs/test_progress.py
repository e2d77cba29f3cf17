import io
import re

import pytest

from espnet_vibevoice.jobs import progress as progress_module
from espnet_vibevoice.jobs.command_line import DEFAULT_PROGRESS, parse_command_line
from espnet_vibevoice.jobs.progress import LogReader, ProgressLine


class FakeTerminal(io.StringIO):
    def isatty(self):
        return True


def make_tiny_line(folder, *options, jobs=2, stream=None, interval_sec=0.0):
    words = [*options, f"JOB=1:{jobs}", str(folder / "x.JOB.log"), "true"]
    stream = io.StringIO() if stream is None else stream
    return ProgressLine(parse_command_line(words), stream, interval_sec), stream


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets; times in seconds."""
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def test_log_reader_last_match_counts_and_half_lines_wait(tmp_path):
    path = tmp_path / "x.log"
    reader = LogReader(path, re.compile(DEFAULT_PROGRESS.encode()))
    reader.update()  # the log does not exist yet
    path.write_text("progress: 1/20\nprogress: 2/20\nprogress: 1")
    reader.update()
    assert (reader.done, reader.total) == (2, 20)
    with path.open("a") as log:
        log.write("5/20\n")
    reader.update()
    assert (reader.done, reader.total) == (15, 20)


def test_log_reader_without_groups_counts_matches(tmp_path):
    (tmp_path / "x.log").write_bytes(b"done a\nother\ndone b\rdone c\n")
    reader = LogReader(tmp_path / "x.log", re.compile(b"^done"))
    reader.update()
    assert (reader.done, reader.total) == (3, None)


def test_log_reader_reads_only_what_is_new(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("done\n" * 10)
    reader = LogReader(path, re.compile(b"done"))
    reader.update()
    path.write_text("DONE\n" * 10 + "done\n")  # the old part is not looked at again
    reader.update()
    assert reader.done == 11


def test_progress_line_adds_up_logs_and_estimates_time(tmp_path, clock):
    line, stream = make_tiny_line(tmp_path)
    (tmp_path / "x.1.log").write_text("progress: 10/100\n")
    clock[0] += 10
    line.update([1], 0)
    (tmp_path / "x.1.log").write_text("progress: 20/100\nprogress: 40/100\n")
    (tmp_path / "x.2.log").write_text("progress: 20/60\n")
    clock[0] += 50
    line.update([1, 2], 1)
    first, second = stream.getvalue().splitlines()
    assert first == "10/about 200 (5.0%), jobs ended: 0/2, elapsed 0:00:10"
    # 50 more items in 50 seconds, 100 to go
    assert second == ("60/160 (37.5%), jobs ended: 1/2, elapsed 0:01:00, left 0:01:40")


def test_progress_line_total_given_is_used(tmp_path, clock):
    options = ("--progress", "^utt", "--progress_total", "8")
    line, stream = make_tiny_line(tmp_path, *options)
    (tmp_path / "x.1.log").write_text("utt a\nutt b\n")
    clock[0] += 3661
    line.update([1, 2], 0)
    assert stream.getvalue() == "2/8 (25.0%), jobs ended: 0/2, elapsed 1:01:01\n"


def test_progress_line_unchanged_state_is_not_repeated(tmp_path):
    line, stream = make_tiny_line(tmp_path)
    (tmp_path / "x.1.log").write_text("progress: 1/2\n")
    for _ in range(3):
        line.update([1], 0)
    line.close([1], 0)
    assert len(stream.getvalue().splitlines()) == 1


def test_progress_line_short_run_writes_nothing(tmp_path, clock):
    line, stream = make_tiny_line(tmp_path, interval_sec=None)
    clock[0] += 14.9
    line.update([1], 0)
    line.close([1], 2)
    assert stream.getvalue() == ""


def test_progress_line_on_terminal_redraws_in_place(tmp_path, clock):
    line, stream = make_tiny_line(tmp_path, stream=FakeTerminal())
    line.update([], 0)
    line.close([], 2)
    first, second = stream.getvalue().split("\r\x1b[K")[1:]
    assert first == "jobs ended: 0/2, elapsed 0:00:00"
    assert second == "jobs ended: 2/2, elapsed 0:00:00\n"


def test_progress_line_bad_expression_raises(tmp_path):
    with pytest.raises(ValueError, match="--progress is no regular expression"):
        make_tiny_line(tmp_path, "--progress", "(")
