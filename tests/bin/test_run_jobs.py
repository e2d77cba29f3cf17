import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UTILS = ROOT / "egs2" / "TEMPLATE" / "asr1" / "utils"


@pytest.fixture
def environment(monkeypatch):
    """Our package and this interpreter come first, as path.sh sees to it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def run_pl(folder, *words, script="run.pl"):
    return subprocess.run(
        [UTILS / script, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_pl_success_is_silent(tmp_path, environment):
    result = run_pl(tmp_path, "JOB=1:2", "log/x.JOB.log", "echo", "JOB")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert "\n2\n" in (tmp_path / "log" / "x.2.log").read_text()


def test_run_pl_failure_shows_error_and_log(tmp_path, environment):
    script = "echo error: no codec; echo more; exit 4"
    result = run_pl(tmp_path, "x.log", "bash", "-c", script)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[:2] == [
        "run.pl: job 1 failed with status 4, log: x.log",
        "error: no codec",
    ]
    assert "more" in lines


@pytest.mark.parametrize("script", ["run.pl", "slurm.pl"])
def test_scripts_without_command_fail_with_usage(tmp_path, environment, script):
    result = run_pl(tmp_path, "JOB=1:2", "x.JOB.log", script=script)
    assert result.returncode == 1
    assert result.stderr.startswith("error: Want [options] [JOB=1:N] LOG COMMAND")


@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), ([], 2)])
def test_run_pl_help_is_printed(tmp_path, environment, words, status):
    result = run_pl(tmp_path, *words)
    assert result.returncode == status
    assert "--max_jobs_run" in (result.stderr if status else result.stdout)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_run_pl_ended_by_signal_ends_all_children(tmp_path, environment, signum):
    # Children write into the pipe once the runner has ended; the pipe ends when nobody
    # is left who could.
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    wait = "for i in {1..3000}; do [ -e over ] && break; sleep 0.02; done"
    script = f"(exec 3>pipe; touch up.JOB; {wait}; echo late >&3) & wait"
    words = ["JOB=1:2", "x.JOB.log", "bash", "-c", script]
    runner = subprocess.Popen(
        [UTILS / "run.pl", *words], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("up.*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    runner.send_signal(signum)
    assert runner.wait(60) == 128 + signum
    (tmp_path / "over").touch()
    os.set_blocking(pipe, True)
    with open(pipe, "rb") as written:
        assert written.read() == b""


def test_run_jobs_starts_without_heavy_imports(environment):
    code = (
        "import sys, espnet_vibevoice.bin.run_jobs, espnet_vibevoice.bin.stamp; "
        "print(sorted({'torch', 'numpy', 'espnet2'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"
