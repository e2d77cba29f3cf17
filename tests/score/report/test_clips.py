import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from espnet_vibevoice.data.audio import AudioError, write_wav
from espnet_vibevoice.score.report.clips import MAX_CLIP_SEC, make_clip


def make_noise(seconds, fs=24000):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * fs))


def test_make_clip_is_mp3_of_the_same_length(tmp_path):
    write_wav(tmp_path / "a.wav", make_noise(1.5, 16000), 16000)
    clip = make_clip(tmp_path / "a.wav")
    with soundfile.SoundFile(io.BytesIO(clip.audio)) as sound:
        assert (sound.format, sound.samplerate, sound.channels) == ("MP3", 24000, 1)
        assert sound.frames / sound.samplerate == pytest.approx(1.5, abs=0.05)
    assert clip.seconds == clip.heard_seconds == 1.5
    assert len(clip.audio) < 15000 * 1.5  # below 120 kbit/s even for noise


def test_make_clip_keeps_the_sound(tmp_path):
    times = np.arange(24000) / 24000
    tone = 0.5 * np.sin(2 * np.pi * 440 * times)
    write_wav(tmp_path / "a.wav", np.stack([tone, tone], axis=1), 24000)
    decoded, _ = soundfile.read(io.BytesIO(make_clip(tmp_path / "a.wav").audio))
    error = decoded[2000:20000] - tone[2000:20000]
    assert np.sqrt(np.mean(error**2)) < 0.01


def test_make_clip_picture_has_high_tones_on_top(tmp_path):
    times = np.arange(24000) / 24000
    write_wav(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 9000 * times), 24000)
    image = Image.open(io.BytesIO(make_clip(tmp_path / "a.wav").picture))
    assert (image.format, image.size) == ("JPEG", (94, 80))
    rows = np.asarray(image, dtype=float).mean(axis=1)
    assert rows.argmin() < 20 and rows[60:].min() > 200  # ink on paper


def test_make_clip_long_recording_is_cut_and_its_picture_bounded(tmp_path):
    write_wav(tmp_path / "a.wav", make_noise(70, 8000), 8000)
    clip = make_clip(tmp_path / "a.wav")
    assert (clip.seconds, clip.heard_seconds) == (70.0, MAX_CLIP_SEC)
    assert Image.open(io.BytesIO(clip.picture)).size == (960, 80)


def test_make_clip_equal_input_gives_equal_bytes(tmp_path):
    write_wav(tmp_path / "a.wav", make_noise(0.3), 24000)
    assert make_clip(tmp_path / "a.wav") == make_clip(tmp_path / "a.wav")


def test_make_clip_missing_file_raises(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        make_clip(tmp_path / "a.wav")
