import os
import subprocess

import pytest

from espnet_vibevoice.jobs.driver import DriverWatch, is_alive


@pytest.fixture
def ended():
    """A process that has ended and waits to be reaped."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process
    process.wait()


def test_is_alive_knows_running_unreaped_and_gone(ended):
    assert is_alive(os.getpid())
    assert not is_alive(ended.pid)
    ended.wait()
    assert not is_alive(ended.pid)


def test_driver_watch_ended_driver_raises(ended, monkeypatch):
    monkeypatch.setenv("TTS_DRIVER_PID", str(ended.pid))
    with pytest.raises(RuntimeError, match=rf"\(process {ended.pid}\) has ended"):
        DriverWatch(interval_sec=0).check()


def test_driver_watch_looks_no_more_often_than_asked(ended, monkeypatch):
    monkeypatch.setenv("TTS_DRIVER_PID", str(ended.pid))
    DriverWatch(interval_sec=60).check()


def test_driver_watch_without_driver_never_raises(monkeypatch):
    monkeypatch.delenv("TTS_DRIVER_PID", raising=False)
    DriverWatch(interval_sec=0).check()


@pytest.mark.parametrize("value", ["x", "0", "-1"])
def test_driver_watch_bad_number_raises(monkeypatch, value):
    monkeypatch.setenv("TTS_DRIVER_PID", value)
    with pytest.raises(ValueError, match="wants the process id of the stage driver"):
        DriverWatch()
