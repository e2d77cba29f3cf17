"""What the command that speaks refuses, and what it leaves behind."""

import io
import sys

import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav

FEW = ["--num_steps", 2, "--max_frames", 3]
SCRIPT = "Speaker 1: ab cd\nSpeaker 2: ef\nSpeaker 1: gh"
FITS = ["--text", SCRIPT, "--min_encoder_fit", "0"]
pytestmark = pytest.mark.usefixtures("log_level")


def fail(run, message, *words):
    code, _, told = run("synthesize", *words)
    assert code == 1 and "Traceback" not in told
    assert message in told.splitlines()[-1]


@pytest.mark.parametrize(
    "words,message",
    [
        (["--text", "abc"], "give --base, or --model"),
        (["--text", "a", "--base", "absent"], "absent: no such base folder"),
        (["--text", "a", "--out", "a.mp3"], "audio files end in .wav, .flac, .ogg"),
        (["--text", "a", "--batch_size", "0"], "--batch_size 0: give 1 or more"),
        (["--text", "a", "--stream", "--batch_size", "2"], "leave one out"),
        (["--text", "a", "--voice", "absent.wav"], "--voice absent.wav: no such file"),
        (["--text", "a", "--voice_text", "b"], "who has no --voice"),
        (["--text", "a", "--voice", "1=a", "--voice", "1=b"], "has one already"),
        (["--text", "a", "--adapter", "b"], "wanted NAME=PATH or NAME=PATH:SCALE"),
        (["--text", "a", "--adapter", "b=c:much"], "strength 'much' is no number"),
        (["--script", "absent.txt"], "--script absent.txt: no such file"),
        (["--text", "a", "--model", "a/config.yaml", "b/3epoch.pth"], "in one folder"),
        (["--text", "a", "--model", "a/config.yaml", "a/3.pth"], "no such file"),
    ],
)
def test_bad_options_fail_before_anything_is_loaded(run, tmp_path, words, message):
    fail(run, message, "--out", tmp_path / "o.wav", *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "family,words,message",
    [
        ("realtime", ["--text", "..."], "text 1: text '...' has neither letters"),
        ("multispeaker", ["--text", "..."], "neither letters nor digits"),
        ("multispeaker", ["--text", "Speaker 5: a\nSpeaker 0: b"], "there can be 4"),
        ("multispeaker", ["--text", "Speaker 0:"], "has no text"),
        ("multispeaker", ["--text", "a" * 2000], "of the base's 1024 positions"),
        ("multispeaker", ["--text", SCRIPT, "--voice", "A"], "has no voice"),
        ("realtime", [*FITS, "--voice", "0=A", "--voice", "3=A"], "no voice while"),
        ("multispeaker", ["--text", "a", "--voice", "P"], "of the realtime family"),
        ("realtime", ["--text", "a", "--voice", "P"], "made.safetensors: not a whole"),
        ("realtime", ["--text", "a", "--voice", "Q"], "preset.pt"),
        (
            "multispeaker",
            ["--text", "a", "--voice", "S"],
            "3000 samples, wanted at least 3200",
        ),
        ("realtime", ["--text", "a", "--adapter", "a=absent"], "absent"),
        ("realtime", ["--text", "a", "--max_frames", "0"], "max_frames 0"),
    ],
)
def test_bad_input_fails_in_one_line_and_leaves_nothing(
    run, bases, wavs, tmp_path, family, words, message
):
    short, made = tmp_path / "short.wav", tmp_path / "made.safetensors"
    write_wav(short, np.ones(3000) * 0.1, 24000)
    made.write_bytes(b"")
    preset = tmp_path / "preset.pt"
    preset.write_bytes(b"")
    files = {"A": wavs[1], "P": made, "Q": preset, "S": short}
    words = [
        f"{word[:-1]}{files[word[-1]]}" if word[-1:] in files else word
        for word in words
    ]
    out = tmp_path / "o" / "o.wav"
    fail(run, message, "--base", bases[family], *words, "--out", out)
    assert not out.exists() and not list(out.parent.glob("*"))


def test_blank_input_fails(run, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n \n"))
    words = ["--base", tiny_base, "--stdin", "--out", tmp_path / "o.wav"]
    fail(run, "there is no text to speak", *words)
    assert not list(tmp_path.iterdir())


def test_failure_keeps_finished_files_and_takes_the_unfinished_away(
    run, tiny_base, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "stdin", io.StringIO("abc\n...\n"))
    out = tmp_path / "all"
    words = ["--base", tiny_base, "--stdin", "--out", out, "--stream", *FEW]
    fail(run, "text 2:", *words)
    assert [p.name for p in out.iterdir()] == ["0001.wav"]


def test_adapter_of_the_other_family_fails(run, save_adapter, bases, tmp_path):
    save_adapter(bases["multispeaker"], tmp_path / "one", 0.05, "vibevoice")
    words = ["--base", bases["realtime"], "--text", "a", "--out", tmp_path / "o.wav"]
    message = "trained on a base of the family vibevoice"
    fail(run, message, *words, "--adapter", f"one={tmp_path / 'one'}")
