"""Runs the package's commands in this process."""

import runpy
import sys

import pytest


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a command of the package; return status, output and errors."""
    monkeypatch.delenv("VIBEVOICE_DEBUG", raising=False)

    def run_one(command, *words):
        module = f"espnet_vibevoice.bin.{command}"
        monkeypatch.setattr(sys, "argv", [command, *map(str, words)])
        monkeypatch.delitem(sys.modules, module, raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
        return ended.value.code, *capfd.readouterr()

    return run_one
