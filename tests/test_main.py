"""``python -m espnet_vibevoice``; ESPnet itself is not imported here."""

import runpy
import sys
from types import SimpleNamespace

import pytest

from espnet_vibevoice import __main__ as entry


@pytest.fixture
def start(monkeypatch):
    """Run main() with the modules replaced; return what it asked for."""
    told = SimpleNamespace(module=None, argv=None, base="not registered", status=None)

    def run_module(module, run_name, alter_sys):
        assert (run_name, alter_sys) == ("__main__", True)
        told.module, told.argv = module, sys.argv[1:]
        if told.error is not None:
            raise told.error

    def use_task(base, acoustic_encoder):
        told.base, told.acoustic_encoder = base, acoustic_encoder

    monkeypatch.setattr(entry.runpy, "run_module", run_module)
    plugin = SimpleNamespace(use_task=use_task)
    monkeypatch.setitem(sys.modules, "espnet_vibevoice.plugin", plugin)

    def start_one(*words, error=None):
        told.error = error
        monkeypatch.setattr(sys, "argv", ["python -m espnet_vibevoice", *words])
        told.status = entry.main()
        return told

    return start_one


def test_split_arguments_keeps_the_modules_own_options():
    words = ["--base", "b", "-m", "some.module", "--base", "other", "-m", "4"]
    options, arguments = entry.split_arguments(words)
    assert (options.base, options.module) == ("b", "some.module")
    assert arguments == ["--base", "other", "-m", "4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: -m"),
        (["--base", "b"], "required: -m"),
        (["--base", "b", "-m"], "expected one argument"),
        (["--bass", "b", "-m", "some.module"], "unrecognized arguments: --bass"),
        (["-msome.module"], "as two words"),
    ],
)
def test_split_arguments_wrong_ones_exit_2(capsys, words, message):
    with pytest.raises(SystemExit, match="2"):
        entry.split_arguments(words)
    assert message in capsys.readouterr().err


def test_split_arguments_help_names_the_options(capsys):
    with pytest.raises(SystemExit, match="0"):
        entry.split_arguments(["--help"])
    shown = capsys.readouterr().out
    assert "--base" in shown and "-m MODULE" in shown


def test_main_tts_command_registers_the_base(start):
    words = ["--ngpu", "0"]
    told = start("--base", "b", "-m", "espnet2.bin.tts_train", *words)
    assert (told.module, told.argv) == ("espnet2.bin.tts_train", words)
    assert told.base == "b"


def test_main_other_command_starts_without_the_task(start):
    told = start("--base", "b", "-m", "espnet2.bin.aggregate_stats_dirs", "--x", "1")
    assert told.argv == ["--x", "1"]
    assert told.base == "not registered"


@pytest.mark.parametrize("command", ["tokenize_text", "pack"])
def test_main_replaced_command_gets_the_base(start, command):
    told = start("--base", "b", "-m", f"espnet2.bin.{command}", "tts")
    assert told.module == f"espnet_vibevoice.bin.{command}"
    assert told.argv == ["tts", "--base", "b"]


def test_main_acoustic_encoder_goes_where_the_base_goes(start):
    words = ["--base", "b", "--acoustic_encoder", "e", "-m"]
    told = start(*words, "espnet_vibevoice.bin.dump_latents", "--job", "1")
    assert told.argv == ["--job", "1", "--base", "b", "--acoustic_encoder", "e"]
    told = start(*words, "espnet2.bin.tts_train", "--ngpu", "0")
    assert (told.base, told.acoustic_encoder) == ("b", "e")
    assert told.argv == ["--ngpu", "0"]


def test_main_own_command_without_base_gets_none(start):
    assert start("-m", "espnet_vibevoice.bin.find_base").argv == []


@pytest.mark.parametrize("words", [(), ("\n### The last 1000 lines of train.log ###",)])
def test_main_launch_failed_gives_its_status_without_the_log(start, words):
    error = RuntimeError(*words)
    assert start("-m", "espnet2.bin.launch", error=error).status == 1


def test_main_launch_done_gives_0(start):
    assert start("-m", "espnet2.bin.launch", "--cmd", "run.pl").status == 0


@pytest.mark.parametrize(
    "message",
    [
        "The first args of --cmd should be a script ends with '.pl': foo",
        "run.pl doesn't support submitting to the other nodes.",
        "Use --host option instead of ssh.pl",
    ],
)
def test_main_launch_wrong_command_raises(start, message):
    with pytest.raises(RuntimeError, match="--cmd|run.pl|--host"):
        start("-m", "espnet2.bin.launch", error=RuntimeError(message))


def run_package(monkeypatch, *words):
    """Run the package as ``python -m`` does, in this process."""
    monkeypatch.setattr(sys, "argv", ["espnet_vibevoice", *map(str, words)])
    monkeypatch.delitem(sys.modules, "espnet_vibevoice.__main__")
    runpy.run_module("espnet_vibevoice", run_name="__main__")


def test_package_error_of_a_command_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("VIBEVOICE_DEBUG", raising=False)
    words = ["espnet_vibevoice.bin.validate_data_dir", tmp_path / "absent"]
    with pytest.raises(SystemExit, match="1"):
        run_package(monkeypatch, "-m", *words)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "absent" in lines[0]


def test_package_debug_shows_the_trace(monkeypatch, tmp_path):
    monkeypatch.setenv("VIBEVOICE_DEBUG", "1")
    words = ["espnet_vibevoice.bin.validate_data_dir", tmp_path / "absent"]
    with pytest.raises((ValueError, OSError), match="absent"):
        run_package(monkeypatch, "-m", *words)
