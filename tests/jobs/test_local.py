import os
import re
import time

import pytest

from espnet_vibevoice.jobs.command_line import parse_command_line
from espnet_vibevoice.jobs.local import assign_gpus, list_visible_gpus, run_local
from espnet_vibevoice.jobs.progress import ProgressLine


def parse(folder, script, *options, jobs=3):
    """Describe ``script`` in bash as so many jobs."""
    log = str(folder / "log" / "x.JOB.log")
    return parse_command_line([*options, f"JOB=1:{jobs}", log, "bash", "-c", script])


def run(*words, **options):
    """Run what `parse` describes; return what run_local returns."""
    return run_local(parse(*words, **options))


def wait_until(condition):
    """Give bash words that wait for a condition, a minute or two at most."""
    return f"for i in {{1..3000}}; do {condition} && break; sleep 0.02; done; "


def read_log(folder, number):
    return (folder / "log" / f"x.{number}.log").read_text().splitlines()


def test_run_local_success_leaves_logs_in_kaldis_form(tmp_path):
    assert run(tmp_path, "echo I am JOB; echo err >&2", "--num_threads", "2") == {}
    for number in (1, 2, 3):
        lines = read_log(tmp_path, number)
        assert lines[0] == f"# bash -c 'echo I am {number}; echo err >&2'"
        assert lines[1].startswith("# Started at ")
        assert lines[3:5] == [f"I am {number}", "err"]
        assert re.fullmatch(r"# Accounting: time=\d+ threads=2", lines[5])
        assert lines[6].startswith("# Ended (code 0) at ")


def test_run_local_failure_stops_the_others_and_their_children(tmp_path, monkeypatch):
    monkeypatch.setattr("espnet_vibevoice.jobs.task._STOP_SEC", 60.0)
    # Jobs 1 and 3 have children that write into the pipe once run_local has returned;
    # it ends when nobody is left who could. Job 2 waits for these children.
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    child = f"exec 3>pipe; touch up.JOB; {wait_until('[ -e over ]')}echo late >&3"
    script = (
        f"cd {tmp_path}; if [ JOB = 2 ]; then "
        f"{wait_until('[ -e up.1 ] && [ -e up.3 ]')}exit 7; fi; ({child}) & wait"
    )
    assert run(tmp_path, script) == {2: 7}
    (tmp_path / "over").touch()
    os.set_blocking(pipe, True)
    with open(pipe, "rb") as written:
        assert written.read() == b""
    assert "# Ended (code 143)" in read_log(tmp_path, 1)[-1]
    assert len(list(tmp_path.glob("up.*"))) == 2


def test_run_local_failure_leaves_waiting_jobs_unstarted(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "x.3.log").write_text("of an earlier run\n")
    assert run(tmp_path, "exit JOB", "--max_jobs_run", "1") == {1: 1}
    assert sorted(p.name for p in (tmp_path / "log").iterdir()) == ["x.1.log"]


def test_run_local_failing_pipe_is_a_failure(tmp_path):
    words = [str(tmp_path / "x.log"), "false", "|", "cat"]
    assert run_local(parse_command_line(words)) == {1: 1}


def test_run_local_killed_job_has_status_of_its_signal(tmp_path):
    assert run(tmp_path, "kill -9 $$", jobs=1) == {1: 137}


class Census(ProgressLine):
    """Counts the jobs that run, all those started being up; then lets them end."""

    def __init__(self, array, folder):
        super().__init__(array)
        self.counts = []
        self._folder = folder

    def update(self, started, num_ended):
        deadline = time.monotonic() + 60
        while not all((self._folder / f"up.{n}").exists() for n in started):
            assert time.monotonic() < deadline, started
            time.sleep(0.01)
        ended = len(list(self._folder.glob("over.*")))
        self.counts.append(len(started) - ended)
        (self._folder / "go").touch()


def test_run_local_max_jobs_run_limits_jobs_at_once(tmp_path):
    script = f"cd {tmp_path}; touch up.JOB; {wait_until('[ -e go ]')}touch over.JOB"
    array = parse(tmp_path, script, "--max_jobs_run", "2", jobs=5)
    census = Census(array, tmp_path)
    assert run_local(array, census) == {}
    assert len(list(tmp_path.glob("over.*"))) == 5
    assert max(census.counts) == 2


def test_run_local_several_gpus_are_dealt_out(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    run(tmp_path, "echo $CUDA_VISIBLE_DEVICES", "--gpu", "1", jobs=4)
    assert [read_log(tmp_path, n)[3] for n in range(1, 5)] == ["4", "5", "6", "4"]


@pytest.mark.parametrize("options", [("--gpu", "0"), ()])
def test_run_local_without_gpu_leaves_environment_alone(tmp_path, monkeypatch, options):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    run(tmp_path, "echo $CUDA_VISIBLE_DEVICES", *options)
    assert read_log(tmp_path, 2)[3] == "4,5"


def test_run_local_unknown_option_raises(tmp_path):
    with pytest.raises(ValueError, match="Unknown option --partition: run.pl knows"):
        run(tmp_path, "true", "--partition", "gpu")


def test_run_local_no_jobs_at_once_raises(tmp_path):
    with pytest.raises(ValueError, match="--max_jobs_run must be at least 1"):
        run(tmp_path, "true", "--max_jobs_run", "0")


def test_assign_gpus_more_than_there_are_gives_all():
    assert assign_gpus(["0", "1"], 0, 4) == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert assign_gpus([], 0, 1) == {}


def test_list_visible_gpus_counts_device_nodes(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia3", "nvidia0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert list_visible_gpus(tmp_path) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert list_visible_gpus(tmp_path) == []
