import os
import signal
import time

import pytest

from espnet_vibevoice.jobs.task import Task, signals_deferred, stop_tasks


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_stop_tasks_ends_a_job_that_ignores_signals(tmp_path, monkeypatch):
    monkeypatch.setattr("espnet_vibevoice.jobs.task._STOP_SEC", 0.2)
    task = Task(f"trap '' TERM; touch {tmp_path}/up; sleep 90; true", tmp_path / "x")
    wait_for((tmp_path / "up").exists)
    stop_tasks([task])
    assert task.poll() == 128 + signal.SIGKILL
    assert "# Ended (code 137)" in (tmp_path / "x").read_text()


def test_task_gets_the_variables_given(tmp_path):
    task = Task("echo $A", tmp_path / "x", environment={"A": "b c"})
    wait_for(lambda: task.poll() is not None)
    assert (tmp_path / "x").read_text().splitlines()[3] == "b c"


def test_signals_deferred_signal_comes_after_the_block():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with signals_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            reached.append("end of block")
    assert reached == ["end of block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signals_deferred_ignored_signal_stays_ignored():
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_deferred():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, old)
