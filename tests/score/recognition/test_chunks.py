"""Long audio is cut at pauses and nothing of it is lost."""

import numpy as np
import pytest

from espnet_vibevoice.score.recognition.chunks import split_at_pauses

FS = 1000


def test_split_short_audio_stays_whole():
    waveform = np.ones(30 * FS, dtype=np.float32)
    [piece] = split_at_pauses(waveform, FS)
    assert piece is waveform


def test_split_cuts_in_the_pause():
    waveform = np.ones(50 * FS, dtype=np.float32)
    waveform[23 * FS : 24 * FS] = 0.0
    first, second = split_at_pauses(waveform, FS)
    assert 23 * FS < len(first) < 24 * FS
    np.testing.assert_array_equal(np.concatenate([first, second]), waveform)


@pytest.mark.parametrize("seconds", [30.001, 61, 200])
def test_split_loses_nothing(seconds):
    waveform = np.random.default_rng(0).normal(size=round(seconds * FS))
    pieces = split_at_pauses(waveform, FS)
    np.testing.assert_array_equal(np.concatenate(pieces), waveform)
    assert max(map(len, pieces)) <= 30 * FS
    assert min(map(len, pieces[:-1])) >= 20 * FS


def test_split_at_a_given_length():
    pieces = split_at_pauses(np.zeros(10 * FS), FS, max_sec=3.0)
    assert max(map(len, pieces)) <= 3 * FS
    assert sum(map(len, pieces)) == 10 * FS
