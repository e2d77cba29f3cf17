import os
import shutil

import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice.data.encoding import AudioEncoder, fingerprint_base
from espnet_vibevoice.models.encoder_file import load_codec


@pytest.fixture
def write_audio(tmp_path):
    def write(fs=24000, channels=1, samples=8000):
        noise = np.random.default_rng(0).normal(0, 0.05, (samples, channels))
        path = tmp_path / "a.wav"
        soundfile.write(path, noise.squeeze(), fs)
        return str(path)

    return write


def test_encode_file_equals_the_codec(tiny_base, write_audio):
    path = write_audio()
    latents = AudioEncoder(str(tiny_base)).encode_file("a", path)
    waveform = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    assert latents.dtype == np.float32
    assert latents.shape == (3, 4)  # 8000 samples are two and a half frames
    assert np.array_equal(latents, load_codec(str(tiny_base)).encode(waveform).numpy())


@pytest.mark.parametrize(
    ("fs", "channels", "message"),
    [
        (16000, 1, "16000 Hz and 1 channels.*24000 Hz mono.*--fs 24000"),
        (24000, 2, "24000 Hz and 2 channels.*24000 Hz mono"),
    ],
)
def test_encode_file_wrong_form_raises(tiny_base, write_audio, fs, channels, message):
    path = write_audio(fs, channels)
    with pytest.raises(ValueError, match=rf"utt7 \({path}\): {message}"):
        AudioEncoder(str(tiny_base)).encode_file("utt7", path)


def test_fingerprint_base_follows_weights_and_configuration(tiny_base, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    first = fingerprint_base(base)
    assert first == fingerprint_base(tiny_base)  # copytree keeps times
    (base / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert fingerprint_base(base) == first
    os.utime(base / "model.safetensors", (1, 1))
    second = fingerprint_base(base)
    assert second != first
    with (base / "config.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert fingerprint_base(base) not in (first, second)
