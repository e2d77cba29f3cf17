import argparse
import shutil

import pytest

from espnet_vibevoice.tts.conf import (
    add_model_options,
    load_base_tokenizer,
    read_tts_conf,
)

YAML = "tts: vibevoice_realtime\ntts_conf:\n    text_window: 8\n    base: from_yaml\n"


@pytest.fixture
def read(tmp_path):
    """Read tts_conf from a YAML text and options."""

    def read_one(yaml=None, *words):
        parser = argparse.ArgumentParser()
        add_model_options(parser)
        if yaml is not None:
            path = tmp_path / "train.yaml"
            path.write_text(yaml, encoding="utf-8")
            words = ("--train_config", str(path), *words)
        return read_tts_conf(parser.parse_args(words))

    return read_one


def test_read_tts_conf_takes_the_yaml(read):
    assert read(YAML) == {"text_window": 8, "base": "from_yaml"}


@pytest.mark.parametrize(
    ("train_args", "changed"),
    [
        ("--tts_conf text_window=9 --max_epoch 3", {"text_window": 9}),
        ("--max_epoch 3 --tts_conf 'base=a b'", {"base": "a b"}),
        ("--tts_conf '{speech_window: 4}'", {"speech_window": 4}),
        ("--tts_conf text_window=9 --tts_conf text_window=10", {"text_window": 10}),
        ("--tts vibevoice_realtime", {}),
    ],
)
def test_read_tts_conf_train_args_overrule_the_yaml(read, train_args, changed):
    wanted = {"text_window": 8, "base": "from_yaml"} | changed
    assert read(YAML, f"--train_args={train_args}", "--base", "b") == wanted


def test_read_tts_conf_equals_espnets_own_parser(read, make_args, tmp_path):
    yaml, words = "tts_conf: {text_window: 7}\n", "--tts_conf eos_weight=0.5"
    ours = read(yaml, f"--train_args={words}", "--base", "b")
    words = ["--config", tmp_path / "train.yaml", *words.split(), "--tts_conf"]
    args = make_args(tmp_path, *words, "base=b")
    assert args.tts_conf == ours == {"text_window": 7, "eos_weight": 0.5, "base": "b"}


@pytest.mark.parametrize("yaml", [None, "", "tts_conf:\n", "max_epoch: 3\n"])
def test_read_tts_conf_base_of_the_command_line_fills_in(read, yaml):
    assert read(yaml, "--base", "given") == {"base": "given"}


def test_read_tts_conf_encoder_of_the_configuration_goes_first(read):
    given = ["--base", "b", "--acoustic_encoder", "mine"]
    assert read("tts_conf: {}\n", *given) == {"base": "b", "acoustic_encoder": "mine"}
    yaml = "tts_conf: {acoustic_encoder: theirs}\n"
    assert read(yaml, *given)["acoustic_encoder"] == "theirs"
    assert "acoustic_encoder" not in read("tts_conf: {}\n", "--base", "b")


def test_read_tts_conf_without_base_raises(read):
    with pytest.raises(ValueError, match="no base model is named: set tts_conf"):
        read("tts_conf: {text_window: 8}\n")


def test_read_tts_conf_invalid_yaml_raises(read):
    with pytest.raises(
        ValueError, match=r"(?s)train\.yaml is not valid YAML: .*line 1"
    ):
        read("tts_conf: {", "--base", "b")


@pytest.mark.parametrize("yaml", ["- a\n", "word\n", "3\n"])
def test_read_tts_conf_no_mapping_raises(read, yaml):
    with pytest.raises(ValueError, match=r"train\.yaml holds no mapping"):
        read(yaml, "--base", "b")


@pytest.mark.parametrize("yaml", ["tts_conf: word\n", "tts_conf: [a, b]\n"])
def test_read_tts_conf_section_is_no_mapping_raises(read, yaml):
    with pytest.raises(ValueError, match=r"train\.yaml: tts_conf holds no mapping"):
        read(yaml, "--base", "b")


def test_load_base_tokenizer_prefers_the_named_one(tiny_base, tmp_path):
    tokenizer = load_base_tokenizer({"base": str(tiny_base)})
    assert tokenizer.source == str(tiny_base)
    (tmp_path / "bare").mkdir()
    shutil.copy(tiny_base / "config.json", tmp_path / "bare")
    conf = {"base": str(tmp_path / "bare"), "tokenizer": str(tiny_base)}
    assert load_base_tokenizer(conf).vocabulary() == tokenizer.vocabulary()
