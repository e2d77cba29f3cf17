import numpy as np
import pytest

from espnet_vibevoice.data.trimming import (
    TrimOptions,
    find_loud_level,
    find_speech,
    measure_levels,
)

FS = 8000


def make_tiny_parts(*parts, seed=0):
    """Noise of (seconds, root mean square) one after the other."""
    generator = np.random.default_rng(seed)
    made = [rms * generator.standard_normal(round(FS * sec)) for sec, rms in parts]
    return np.concatenate(made).astype(np.float32)


def trim(waveform, **options):
    levels = measure_levels(waveform, FS)
    begin, end = find_speech(levels, FS, TrimOptions(**options))
    return begin / FS, min(end, len(waveform)) / FS


def test_measure_levels_are_mean_squares_in_db():
    waveform = np.concatenate([np.full(80, 0.1), np.zeros(80), np.full(40, 1.0)])
    levels = measure_levels(waveform.astype(np.float32), FS)
    assert levels == pytest.approx([-20, -200, 0], abs=1e-4)


def test_find_speech_keeps_the_margin_at_both_ends():
    waveform = make_tiny_parts((0.5, 1e-4), (1.0, 0.1), (0.7, 1e-4))
    assert trim(waveform) == pytest.approx((0.4, 1.6), abs=0.011)
    assert trim(waveform, margin_sec=0.0) == pytest.approx((0.5, 1.5), abs=0.011)


def test_find_speech_little_silence_is_kept_whole():
    waveform = make_tiny_parts((0.05, 1e-4), (1.0, 0.1), (0.09, 1e-4))
    assert trim(waveform) == (0, len(waveform) / FS)


def test_find_speech_pauses_inside_stay():
    waveform = make_tiny_parts((1, 0), (0.3, 0.1), (2, 0), (0.3, 0.1), (1, 0))
    assert trim(waveform) == pytest.approx((0.9, 3.7), abs=0.011)


def test_find_speech_quiet_recording_is_judged_by_its_own_level():
    waveform = make_tiny_parts((0.5, 1e-4), (1.0, 0.1), (0.5, 1e-4))
    assert trim(waveform * np.float32(0.01)) == trim(waveform)


def test_find_speech_click_in_silence_is_no_speech():
    waveform = make_tiny_parts((1.0, 0), (1.0, 0.1), (1.0, 0))
    waveform[FS // 4] = 1.0
    waveform[-FS // 4] = 1.0
    assert trim(waveform) == pytest.approx((0.9, 2.1), abs=0.011)


def test_find_speech_threshold_decides_on_room_noise():
    waveform = make_tiny_parts((1.0, 0.003), (1.0, 0.1), (1.0, 0.003))  # 30 dB below
    assert trim(waveform) == (0, 3)
    assert trim(waveform, threshold_db=20) == pytest.approx((0.9, 2.1), abs=0.011)


@pytest.mark.parametrize("count", [1, 79, 81, 239, 240])
def test_find_speech_very_short_is_kept_whole(count):
    waveform = np.full(count, 0.1, dtype=np.float32)
    begin, end = find_speech(measure_levels(waveform, FS), FS, TrimOptions())
    assert begin == 0 and end >= count


def test_find_loud_level_is_not_moved_by_one_frame():
    levels = np.full(100, -30.0)
    levels[50] = 0.0
    assert find_loud_level(levels) == -30.0
