"""Each YAML that is shipped parses with the parser of the command that reads it."""

import argparse
from pathlib import Path

import pytest
import yaml
from espnet2.bin import asr_inference, asr_train, tts_inference

from espnet_vibevoice import plugin
from espnet_vibevoice.score.conf import read_score_conf
from espnet_vibevoice.tts.conf import add_model_options, read_tts_conf
from espnet_vibevoice.tts.task import VibeVoiceTTSTask, check_keys

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = [ROOT / "conf", *sorted((ROOT / "egs2").glob("*/tts1/conf"))]
YAML_FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*.yaml"))
DECODING = [path for path in YAML_FILES if path.name.startswith("decode")]
SCORING = [path for path in YAML_FILES if path.name == "score.yaml"]
VERSA = ROOT / "conf" / "versa.yaml"
TRAINING = [path for path in YAML_FILES if path not in [*DECODING, *SCORING, VERSA]]
RECOGNIZERS = sorted((ROOT / "egs2").glob("*/asr1/conf/*.yaml"))


def name_of(path):
    return str(path.relative_to(ROOT))


def test_configurations_are_found():
    assert len(FOLDERS) >= 2 and TRAINING and DECODING and SCORING and RECOGNIZERS
    assert {path.parts[-2] for path in YAML_FILES} == {"conf"}


@pytest.mark.parametrize("path", TRAINING, ids=name_of)
def test_training_configuration_parses(path, tmp_path):
    words = ["--config", str(path), "--output_dir", str(tmp_path)]
    args = VibeVoiceTTSTask.get_parser().parse_args(words)
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert args.tts == given["tts"] and VibeVoiceTTSTask.is_ours(args)
    assert args.tts_conf == given["tts_conf"]
    assert args.optim_conf["lr"] == given["optim_conf"]["lr"]
    check_keys("tts_conf", args.tts_conf, plugin.TTS_CLASSES[args.tts])


@pytest.mark.parametrize("path", TRAINING, ids=name_of)
def test_training_configuration_is_read_alike_by_data_stages(path, tmp_path):
    parser = argparse.ArgumentParser()
    add_model_options(parser)
    words = ["--train_config", str(path), "--base", "b"]
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert read_tts_conf(parser.parse_args(words)) == given["tts_conf"] | {"base": "b"}


@pytest.mark.parametrize("path", DECODING, ids=name_of)
def test_decoding_configuration_parses(path, tmp_path):
    words = ["--config", str(path), "--output_dir", str(tmp_path)]
    words += ["--data_path_and_name_and_type", "text,text,text", "--key_file", "keys"]
    args = tts_inference.get_parser().parse_args(words)
    for key, value in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        assert vars(args)[key] == value, key


@pytest.mark.parametrize("wrong", ["optimm: adam\n", "max_epoch: many\n"])
def test_parser_refuses_a_wrong_key_or_value(tmp_path, capsys, wrong):
    path = tmp_path / "train.yaml"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        VibeVoiceTTSTask.get_parser().parse_args(["--config", str(path)])
    assert wrong.split(":")[0] in capsys.readouterr().err


@pytest.mark.parametrize("path", SCORING, ids=name_of)
def test_scoring_configuration_parses(path):
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    conf = read_score_conf(path)
    names = [spec.name for spec in conf.recognizers]
    assert names == [entry["name"] for entry in given["recognizers"]]


@pytest.mark.parametrize("path", RECOGNIZERS, ids=name_of)
def test_recognizer_configuration_parses(path, tmp_path):
    command = asr_inference if path.name.startswith("decode") else asr_train
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = ["--config", str(path), "--output_dir", str(tmp_path)]
    if command is asr_inference:
        words += ["--data_path_and_name_and_type", "wav.scp,speech,sound"]
    args = command.get_parser().parse_args(words)
    assert given.items() <= vars(args).items()


def test_versa_configuration_names_each_metric():
    entries = yaml.safe_load(VERSA.read_text("utf-8"))
    assert entries and all(isinstance(entry["name"], str) for entry in entries)
    assert all(entries.count(entry) == 1 for entry in entries)
