import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice.synthesis.audio_out import FORMATS, AudioFile


@pytest.mark.parametrize("suffix", FORMATS)
def test_audio_file_without_speech_holds_silence_and_can_be_read(
    tmp_path, caplog, suffix
):
    path = tmp_path / f"none.{suffix}"
    with AudioFile(path, 24000) as out:
        out.write(torch.zeros(0))
    samples, fs = soundfile.read(path)
    assert fs == 24000 and samples.shape == (2400,) and not samples.any()
    assert f"{path}: no speech was made" in caplog.text


def test_audio_file_with_speech_has_no_silence_added(tmp_path, caplog):
    path = tmp_path / "some.wav"
    with AudioFile(path, 24000) as out:
        out.write(torch.full((3,), 0.5))
    samples, _ = soundfile.read(path, dtype="int16")
    assert np.array_equal(samples, [16384] * 3) and not caplog.text
