"""Reading score.yaml and the options over it."""

import argparse

import pytest

from espnet_vibevoice.score.conf import (
    ScoreConf,
    add_score_options,
    read_score_conf,
)
from espnet_vibevoice.score.model_specs import RecognizerSpec, SpeakerModelSpec

WHISPER = {"name": "w", "kind": "whisper", "model": "tiny"}
FULL = """\
recognizers:
  - name: ctc
    kind: espnet
    config: asr/config.yaml
    model_file: asr/best.pth
    inference: {ctc_weight: 1.0, beam_size: 1}
    recipe: ../asr1
  - {name: whisper, kind: whisper, model: openai/whisper-tiny}
speaker_model: {kind: wavlm, model: folder}
versa: VERSA
bootstrap: {draws: 10, seed: 3}
report: {max_utts: 7}
"""


@pytest.fixture
def write(tmp_path):
    """Write score.yaml and give its path."""

    def write_text(text):
        path = tmp_path / "score.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def parse(*words):
    parser = argparse.ArgumentParser()
    add_score_options(parser)
    return parser.parse_args(words)


def test_read_score_conf_without_file_gives_defaults():
    assert read_score_conf(None) == ScoreConf()
    assert read_score_conf("", parse()) == ScoreConf()


def test_read_score_conf_empty_file_gives_defaults(write):
    assert read_score_conf(write("# nothing\n")) == ScoreConf()


def test_read_score_conf_all_keys_arrive(write, tmp_path):
    versa = tmp_path / "versa.yaml"
    versa.touch()
    conf = read_score_conf(write(FULL.replace("VERSA", str(versa))))
    ctc = conf.find_recognizer("ctc")
    assert (ctc.kind, ctc.config, ctc.model_file) == (
        "espnet",
        "asr/config.yaml",
        "asr/best.pth",
    )
    assert ctc.inference == {"ctc_weight": 1.0, "beam_size": 1}
    assert ctc.recipe == "../asr1"
    assert [str(path) for path in ctc.list_missing_files()] == [
        "asr/config.yaml",
        "asr/best.pth",
    ]
    assert conf.recognizers[1].identity == "openai/whisper-tiny"
    assert conf.speaker_model == SpeakerModelSpec("wavlm", model="folder")
    assert (conf.draws, conf.seed, conf.max_utts) == (10, 3, 7)
    assert conf.versa == str(versa)


@pytest.mark.parametrize(
    "text, said",
    [
        ("recognisers: []", "score.yaml: the file: unknown keys recognisers"),
        ("[1]", "score.yaml: the file: want keys and values"),
        ("a: [", "score.yaml is not valid YAML"),
        ("recognizers: {a: 1}", "want a list, each entry with name and kind"),
        ("recognizers: [a]", "recogniser 1: want keys and values"),
        ("recognizers: [{name: a, kind: whisper, file: b}]", "unknown keys file"),
        ("recognizers: [{kind: whisper, model: b}]", "name begins with a letter"),
        ("recognizers: [{name: a b, kind: whisper, model: b}]", "name begins with"),
        ("recognizers: [{name: a, model: b}]", "kind '', want espnet or whisper"),
        ("recognizers: [{name: a, kind: whisper}]", "wants model; got none"),
        (
            "recognizers: [{name: a, kind: whisper, model: 3}]",
            "model: want text",
        ),
        (
            "recognizers: [{name: a, kind: espnet, config: b}]",
            "wants config and model_file, or tag; got config",
        ),
        (
            "recognizers: [{name: a, kind: espnet, tag: b, inference: [1]}]",
            "inference: want keys and values",
        ),
        (
            "recognizers: [{name: a, kind: whisper, model: b, recipe: c}]",
            "recipe goes with kind espnet only",
        ),
        (
            "recognizers: [{name: a, kind: whisper, model: b},"
            " {name: a, kind: whisper, model: c}]",
            "share the name a",
        ),
        ("speaker_model: {kind: wavlm}", "speaker_model: kind wavlm wants model"),
        ("speaker_model: {name: x}", "speaker_model: unknown keys name"),
        ("versa: [a]", "versa: got .*, want a path"),
        ("bootstrap: {draws: 0}", "bootstrap draws: got 0, want 1 or more"),
        ("bootstrap: {seed: x}", "bootstrap seed: got 'x', want 0 or more"),
        ("report: {max_utts: true}", "report max_utts: got True"),
        ("report: {pages: 1}", "report: unknown keys pages"),
    ],
)
def test_read_score_conf_wrong_file_raises(write, text, said):
    with pytest.raises(ValueError, match=said) as error:
        read_score_conf(write(text))
    assert str(error.value).count("score.yaml") == 1


def test_read_score_conf_missing_files_raise(write):
    with pytest.raises(FileNotFoundError, match="gone.yaml: no such scoring"):
        read_score_conf("gone.yaml")
    with pytest.raises(FileNotFoundError, match="gone: no such configuration of VERSA"):
        read_score_conf(write("versa: gone"))


def test_read_score_conf_given_recognizers_replace_those_of_the_file(write):
    path = write(FULL.replace("versa: VERSA\n", ""))
    options = parse(
        *("--asr_config", "x/config.yaml", "y/config.yaml"),
        *("--asr_model_file", "exp/one/best.pth", "else/one/best.pth"),
        *("--asr_model_tag", "some/model tag"),
        *("--whisper_model", "openai/whisper-tiny", "folder/"),
        *("--speaker_model", "none", "--max_utts", "2"),
    )
    conf = read_score_conf(path, options)
    assert conf.recognizers == (
        RecognizerSpec("one", "espnet", "x/config.yaml", "exp/one/best.pth"),
        RecognizerSpec("one_2", "espnet", "y/config.yaml", "else/one/best.pth"),
        RecognizerSpec("some_model_tag", "espnet", tag="some/model tag"),
        RecognizerSpec("whisper-tiny", "whisper", model="openai/whisper-tiny"),
        RecognizerSpec("folder", "whisper", model="folder/"),
    )
    assert conf.speaker_model is None
    assert (conf.max_utts, conf.draws) == (2, 10)


def test_read_score_conf_other_options_keep_the_recognizers_of_the_file(write):
    path = write("recognizers: [{name: w, kind: whisper, model: tiny}]\nversa: gone")
    conf = read_score_conf(path, parse("--max_utts", "0", "--versa_config", "none"))
    assert conf == ScoreConf((RecognizerSpec(**WHISPER),), max_utts=0)


def test_read_score_conf_lists_of_different_length_raise():
    options = parse("--asr_config", "a", "b", "--asr_model_file", "c")
    with pytest.raises(ValueError, match="has 2 entries and --asr_model_file 1"):
        read_score_conf(None, options)


@pytest.mark.parametrize(
    "text, spec",
    [
        ("wavlm:a/b", SpeakerModelSpec("wavlm", model="a/b")),
        ("espnet:a/tag", SpeakerModelSpec("espnet", tag="a/tag")),
        (
            "espnet:exp/spk.pth",
            SpeakerModelSpec("espnet", "exp/config.yaml", "exp/spk.pth"),
        ),
    ],
)
def test_read_score_conf_speaker_model_option(text, spec):
    conf = read_score_conf(None, parse("--speaker_model", text))
    assert conf.speaker_model == spec


@pytest.mark.parametrize("text", ["wavlm", "wavlm:", "titanet:x"])
def test_read_score_conf_wrong_speaker_model_option_raises(text):
    with pytest.raises(ValueError, match=f"--speaker_model {text}: want none, wavlm:"):
        read_score_conf(None, parse("--speaker_model", text))


def test_find_recognizer_unknown_name_raises():
    conf = ScoreConf((RecognizerSpec(**WHISPER),))
    with pytest.raises(ValueError, match="no recogniser is named 'x'; configured: w"):
        conf.find_recognizer("x")
