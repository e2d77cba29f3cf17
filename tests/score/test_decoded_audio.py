import numpy as np
import pytest

from espnet_vibevoice.data.audio import AudioError, write_wav
from espnet_vibevoice.score.decoded_audio import inspect_wav

FS = 24000


def make_noise(seconds, level=0.1):
    return np.random.default_rng(0).normal(0, level, round(seconds * FS))


@pytest.mark.parametrize(
    ("seconds", "level", "text", "faults"),
    [
        (1.0, 0.1, "سلام", ()),
        (1.0, 0.0, "سلام", ("silent",)),
        (1.0, 0.0005, "سلام", ("silent",)),  # -66 dBFS
        (1.0, 0.002, "سلام", ()),  # -54 dBFS
        (1.0, 0.6, "سلام", ("clipped",)),
        (0.07, 0.1, "سلام", ("short",)),
        (0.09, 0.1, "سلام", ()),
        (2.1, 0.1, "سلام", ("long",)),
        (1.9, 0.1, "سلام", ()),
        (1.9, 0.1, "و", ()),  # less than four letters count as four
        (1.9, 0.1, "س" * 100, ("short",)),
        (2.1, 0.0, "سلام", ("silent", "long")),
    ],
)
def test_inspect_wav_names_the_faults(tmp_path, seconds, level, text, faults):
    path = tmp_path / "a.wav"
    write_wav(path, make_noise(seconds, level), FS)
    assert inspect_wav("a", path, text).faults == faults


def test_inspect_wav_measures_known_sound(tmp_path):
    time = np.arange(FS) / FS
    write_wav(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * time), FS)
    found = inspect_wav("a", tmp_path / "a.wav", "سلام")
    assert found.seconds == 1.0
    assert found.level_dbfs == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert found.peak == pytest.approx(0.5, abs=1e-3)


def test_inspect_wav_unreadable_raises(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(AudioError, match="0 bytes"):
        inspect_wav("a", tmp_path / "a.wav", "سلام")
