import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice.tts.voice_latents import VoiceLatents


@pytest.fixture
def recording(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.05, 3200 * 3 - 5)
    soundfile.write(tmp_path / "a.wav", noise, 24000)
    return tmp_path / "a.wav"


def test_read_encodes_recordings_and_passes_latents_on(tiny_multispeaker, recording):
    latents = torch.ones(2, 4)
    voices = VoiceLatents().read(tiny_multispeaker, [recording, latents])
    assert voices[0].shape == (3, 4) and torch.isfinite(voices[0]).all()
    assert voices[1] is latents


def test_read_none_is_no_voice_and_one_is_a_list(tiny_multispeaker, recording):
    assert VoiceLatents().read(tiny_multispeaker, None) == []
    assert len(VoiceLatents().read(tiny_multispeaker, str(recording))) == 1


def test_read_encodes_a_recording_once(tiny_multispeaker, recording):
    reader = VoiceLatents()
    (first,) = reader.read(tiny_multispeaker, recording)
    recording.unlink()
    assert reader.read(tiny_multispeaker, str(recording))[0] is first


def test_read_level_of_the_recording_does_not_matter(tiny_multispeaker, recording):
    samples, fs = soundfile.read(recording)
    louder = recording.with_name("louder.wav")
    soundfile.write(louder, 2 * samples, fs, "FLOAT")
    voices = VoiceLatents().read(tiny_multispeaker, [recording, louder])
    torch.testing.assert_close(voices[0], voices[1], atol=1e-3, rtol=1e-3)


def test_read_absent_recording_raises(tiny_multispeaker, tmp_path):
    with pytest.raises(ValueError, match=r"gone\.wav: no such file"):
        VoiceLatents().read(tiny_multispeaker, tmp_path / "gone.wav")
