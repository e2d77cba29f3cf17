"""The tiny base that ``egs2/mini_fa`` makes is a base like any other."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.text.tokenizer import load_tokenizer

SCRIPT = Path(__file__).parents[2] / "egs2/mini_fa/tts1/local/make_mini_base.py"
SENTENCES = [
    "امروز صبح باران نم\u200cنم می\u200cبارید.",  # zero-width non-joiner
    "هوا رو به سردی می\u200cرود.",
]


@pytest.fixture
def make_base(tmp_path, monkeypatch):
    """Run the script's main function on two texts and one 22.05 kHz wav."""
    text = tmp_path / "text"
    lines = [f"utt{i} {sentence}\n" for i, sentence in enumerate(SENTENCES)]
    text.write_text("".join(lines), encoding="utf-8")
    noise = np.random.default_rng(0).normal(0, 0.02, 22050)
    soundfile.write(tmp_path / "utt0.wav", noise, 22050)
    scp = tmp_path / "wav.scp"
    scp.write_text(f"utt0 {tmp_path}/utt0.wav\n", encoding="utf-8")
    threads = torch.get_num_threads()

    def run(name, *options):
        out = tmp_path / name
        argv = [str(SCRIPT), "--text", str(text), "--wav_scp", str(scp)]
        monkeypatch.setattr(sys, "argv", [*argv, "--out", str(out), *options])
        runpy.run_path(str(SCRIPT))["main"]()
        return out

    yield run
    torch.set_num_threads(threads)


def read_files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_make_mini_base_loads_and_knows_its_tokenizer(make_base):
    base = make_base("base")
    model = RealtimeModel.from_base(str(base))
    tokenizer = load_tokenizer(base)
    assert model.has_encoder
    assert model.negative_prompt_id == tokenizer.negative_prompt_id
    assert max(tokenizer.encode(SENTENCES[0])) < model.config.language_model.vocab_size
    codec = model.acoustic_tokenizer
    waveform = codec.decode(codec.encode(torch.randn(24000) * 0.05))
    assert 0.01 < waveform.square().mean().sqrt() < 0.2
    assert sum(path.stat().st_size for path in base.iterdir()) < 6_000_000


def test_make_mini_base_same_inputs_same_bytes(make_base):
    first = read_files(make_base("first"))
    assert first == read_files(make_base("second"))
    other = read_files(make_base("third", "--seed", "1"))
    assert first["model.safetensors"] != other["model.safetensors"]


def test_make_mini_base_again_leaves_files_alone(make_base, capsys):
    base = make_base("base")
    before = {path.name: path.stat().st_mtime_ns for path in base.iterdir()}
    make_base("base")
    assert "up to date" in capsys.readouterr().out
    assert before == {path.name: path.stat().st_mtime_ns for path in base.iterdir()}


def test_make_mini_base_foreign_folder_raises(make_base, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="not made by this script"):
        make_base("mine")
    assert list((tmp_path / "mine").iterdir()) == []
