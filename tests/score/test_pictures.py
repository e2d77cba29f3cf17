import io

import matplotlib.image
import numpy as np
import pytest
from PIL import Image

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.score import pictures


def make_tone(seconds, hertz, fs=24000):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * fs)) / fs)


@pytest.fixture
def rows(tmp_path):
    """A natural recording of one second and a decoded one of two."""
    write_wav(tmp_path / "natural.wav", make_tone(1.0, 300), 24000)
    write_wav(tmp_path / "decoded.wav", make_tone(2.0, 3000), 24000)
    return {name: tmp_path / f"{name}.wav" for name in ("natural", "decoded")}


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, as matplotlib holds them."""
    made = []

    class Figure(pictures.Figure):
        def savefig(self, *args, **options):
            made.append(self)
            super().savefig(*args, **options)

    monkeypatch.setattr(pictures, "Figure", Figure)
    return made


def test_compute_log_mel_is_below_its_maximum(rows):
    low, fs = pictures.compute_log_mel(rows["natural"])
    high, _ = pictures.compute_log_mel(rows["decoded"])
    assert fs == 24000
    assert low.shape == (80, 24000 // 256 + 1)
    assert low.max() == 0 and low.min() >= -80
    assert low.mean(1).argmax() < high.mean(1).argmax()


def test_draw_mels_puts_both_on_the_longest_time_axis(rows, figures, tmp_path):
    path = tmp_path / "images" / "u1.png"
    pictures.draw_mels(rows, path, "u1")
    (figure,) = figures
    panels = [axis for axis in figure.axes if axis.get_ylabel() == "mel band"]
    assert [axis.get_title("left") for axis in panels] == [
        "natural (1.00 s)",
        "decoded (2.01 s)",
    ]
    for axis in panels:
        assert axis.get_xlim() == pytest.approx((0.0, 2.0), abs=0.02)
    extents = [axis.get_images()[0].get_extent()[1] for axis in panels]
    assert extents == pytest.approx([1.0, 2.0], abs=0.02)
    assert panels[0].get_position().y0 > panels[1].get_position().y1


def test_draw_mels_writes_a_picture_and_nothing_else(rows, tmp_path):
    path = tmp_path / "images" / "u1.png"
    pictures.draw_mels(rows, path, "u1")
    image = matplotlib.image.imread(path)
    assert image.shape[:2] == (520, 900)
    assert image[..., :3].std() > 0.05
    assert [file.name for file in path.parent.iterdir()] == ["u1.png"]


def test_draw_mels_silence_and_short_audio_work(tmp_path):
    write_wav(tmp_path / "silent.wav", np.zeros(24000), 24000)
    write_wav(tmp_path / "short.wav", make_tone(0.1, 300), 24000)
    rows = {"a": tmp_path / "silent.wav", "b": tmp_path / "short.wav"}
    pictures.draw_mels(rows, tmp_path / "u1.png", "u1")
    assert (tmp_path / "u1.png").stat().st_size > 1000


def test_encode_strip_is_dark_where_there_is_sound():
    mel = np.full((80, 100), -80.0)
    mel[:20, 50:] = 0.0  # low bands of the second half
    image = Image.open(io.BytesIO(pictures.encode_strip(mel)))
    assert (image.format, image.mode, image.size) == ("JPEG", "L", (100, 80))
    tones = np.asarray(image, dtype=float)
    assert tones[62:, 52:].mean() < 20
    assert tones[:58].mean() > 235 and tones[:, :48].mean() > 235


def test_encode_strip_of_a_long_recording_is_bounded():
    strip = pictures.encode_strip(np.full((80, 5000), -10.0))
    assert Image.open(io.BytesIO(strip)).size == (pictures.MAX_STRIP_WIDTH, 80)
