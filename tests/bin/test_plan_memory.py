"""The prediction for the released models, as the command prints it."""

import sys
from pathlib import Path

import pytest

from espnet_vibevoice.bin import plan_memory

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def run(monkeypatch, capsys):
    def run_command(*words):
        monkeypatch.setattr(sys, "argv", ["plan_memory", *map(str, words)])
        plan_memory.main()
        return capsys.readouterr().out

    return run_command


@pytest.mark.parametrize(
    ("model", "config", "parameters", "share"),
    [
        ("1.5b", "vibevoice_lora.yaml", "2,704,021,985", "4.90%"),
        ("7b", "vibevoice_lora.yaml", "9,343,355,361", "7.38%"),
        ("realtime-0.5b", "realtime_lora.yaml", None, None),
    ],
)
def test_plan_memory_prints_parameters_share_and_total(
    run, model, config, parameters, share
):
    output = run(model, "--train_config", CONF / config)
    assert output.startswith("batch: ")
    lines = {line.split("  ")[0]: line for line in output.splitlines()[1:]}
    assert {"parameters", "trained", "weights", "logits", "total"} <= lines.keys()
    if parameters is not None:
        assert parameters in lines["parameters"] and share in lines["trained"]


def read_total(output):
    return float(output.splitlines()[-1].split()[-2])


def test_plan_memory_options_overrule_the_configuration(run):
    words = ["1.5b", "--train_config", CONF / "vibevoice_lora.yaml"]
    usual = read_total(run(*words))
    assert read_total(run(*words, "--batch_bins", 6000)) > usual
    smaller = ["--train_args", "--tts_conf quantize_base=4bit"]
    assert read_total(run(*words, *smaller)) < usual


def test_plan_memory_reads_a_folder(run, tiny_multispeaker_base):
    output = run(tiny_multispeaker_base, "--batch_bins", 500, "--utt_sec", 2)
    assert "batch: 7 utterances of 2 s" in output
