import subprocess
import sys

import numpy as np
import pytest
import pyworld

from espnet_vibevoice.score.acoustics import (
    Analysis,
    align,
    analyze,
    compute_mel_cepstrum,
    measure_against,
    measure_alone,
)
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable

FS = 24000
FRAMES = 300  # of 5 ms
LONG = """
import numpy as np
from espnet_vibevoice.score.acoustics import measure_against

def read_peak():
    # not ru_maxrss, which begins at what the starting process had
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line[:5] == "VmHWM")

draw = np.random.default_rng(0).normal
before = read_peak()
found = measure_against(draw(0, 0.1, 30 * 24000), draw(0, 0.1, 30 * 24000), 24000)
after = read_peak()
print(found.values["mcd"], (after - before) // 1024)
"""


def make_speech(pitch=1.0, speed=1.0, scale=1.0, frames=FRAMES):
    """Vowels that glide, made by WORLD from a known pitch and envelope."""
    moments = np.linspace(0, 1, round(frames * speed))
    f0 = pitch * 120 * 2 ** (0.4 * np.sin(2 * np.pi * 1.5 * moments))
    axis = np.linspace(0, FS / 2, 513)
    envelope = np.full((len(moments), 513), 1e-5)
    tracks = ((500, 250, 100), (1500, 600, 150), (2600, 200, 200), (4000, 300, 300))
    for centre, swing, width in tracks:
        middle = centre + swing * np.sin(2 * np.pi * (2 * moments + centre / 3000))
        envelope += 1e-2 * np.exp(-(((axis - middle[:, None]) / width) ** 2))
    noise = np.full_like(envelope, 1e-3)
    return scale * pyworld.synthesize(f0, envelope, noise, FS, 5.0)


def make_noise(seconds, level=0.1):
    return np.random.default_rng(0).normal(0, level, round(seconds * FS))


def measure(waveform, natural=None):
    return measure_against(make_speech() if natural is None else natural, waveform, FS)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_measure_against_same_audio_at_any_level_is_zero(scale):
    found = measure(make_speech(scale=scale))
    assert found.values.pop("log_f0_pairs") > 200
    assert found.values == pytest.approx(
        {"mcd": 0, "log_f0_rmse": 0, "duration_ratio": 1}, abs=1e-6
    )
    assert found.reasons == {}


def test_measure_against_level_that_rises_is_no_distortion():
    speech = make_speech()  # c0, the level of a frame, is left out
    assert measure(speech * np.linspace(0.25, 1, len(speech))).values["mcd"] < 0.2


@pytest.mark.parametrize("pitch", [0.8, 1.12, 1.25])
def test_measure_against_shifted_pitch_gives_its_logarithm(pitch):
    found = measure(make_speech(pitch=pitch))
    assert found.values["log_f0_rmse"] == pytest.approx(abs(np.log(pitch)), abs=0.01)
    assert found.values["mcd"] < 2
    assert found.values["duration_ratio"] == pytest.approx(1.0)


@pytest.mark.parametrize("speed", [0.75, 1.3])
def test_measure_against_stretched_copy_is_near(speed):
    found = measure(make_speech(speed=speed))
    assert found.values["duration_ratio"] == pytest.approx(speed, abs=0.01)
    assert found.values["mcd"] < 1.5
    assert found.values["log_f0_rmse"] < 0.05


def test_measure_against_noise_is_far():
    found = measure(make_noise(1.5))
    assert found.values["mcd"] > 12
    other = measure(make_speech()[::-1].copy())
    assert 3 < other.values["mcd"] < found.values["mcd"]


def test_measure_against_silence_around_leaves_all_but_duration():
    padded = np.concatenate([np.zeros(FS), make_speech(), np.zeros(FS // 2)])
    found = measure(padded)
    assert found.values["mcd"] < 0.3
    assert found.values["log_f0_rmse"] < 0.01
    assert found.values["duration_ratio"] == pytest.approx(2.0, abs=0.01)


def test_measure_against_what_nobody_hears_is_no_distortion():
    pause = np.zeros(FS // 2)
    natural = np.concatenate([make_speech(), pause, make_speech()])
    noisy = natural + np.random.default_rng(0).normal(0, 1e-5, len(natural))
    assert measure(noisy, natural).values["mcd"] < 0.3


def test_measure_against_inserted_pause_is_distortion():
    speech = make_speech()
    middle = len(speech) // 2
    broken = np.concatenate([speech[:middle], np.zeros(FS // 2), speech[middle:]])
    assert measure(broken).values["mcd"] > 2


def test_measure_against_equal_envelopes_apart_gives_known_distance():
    # An envelope that differs by one cosine on the warped axis differs by one
    # coefficient, d: every frame is 10 / ln 10 * sqrt(2 * d * d) apart.
    axis = np.linspace(0, np.pi, 513)
    warped = axis + 2 * np.arctan2(0.46 * np.sin(axis), 1 - 0.46 * np.cos(axis))
    flat = np.full(513, 0.01)
    wavy = flat * np.exp(2 * 0.3 * np.cos(5 * warped))
    found = compute_mel_cepstrum(np.stack([flat, wavy]), 0.46, 34)
    wanted = np.zeros(35)
    wanted[5] = 0.3
    np.testing.assert_allclose(found[1] - found[0], wanted, atol=1e-9)
    assert found[0, 0] == pytest.approx(np.log(0.1))


def test_compute_mel_cepstrum_equals_frequency_transform_of_cepstrum():
    rng = np.random.default_rng(0)
    plain = rng.normal(size=20) * 0.8 ** np.arange(20)
    axis = np.linspace(0, np.pi, 513)
    envelope = np.exp(2 * np.cos(np.outer(axis, np.arange(20))) @ plain)
    found = compute_mel_cepstrum(envelope[None], 0.42, 23)[0]
    np.testing.assert_allclose(found, warp_cepstrum(plain, 0.42, 23), atol=1e-9)


def warp_cepstrum(cepstrum, alpha, order):
    """The recursion of Oppenheim and Johnson (1972), coefficient by coefficient."""
    warped = np.zeros(order + 1)
    for value in cepstrum[::-1]:
        before = warped.copy()
        warped[0] = value + alpha * before[0]
        warped[1] = (1 - alpha**2) * before[0] + alpha * before[1]
        for m in range(2, order + 1):
            warped[m] = before[m - 1] + alpha * (before[m] - warped[m - 1])
    return warped


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        (np.zeros(FS), r"this audio: silent: -200.0 dBFS .*limit -60 dBFS"),
        (np.ones(700) * 0.1, r"this audio: too short: 0\.029 s, limit 0\.1 s"),
        (np.ones(1), r"this audio: too short"),
    ],
)
def test_measure_against_no_speech_gives_reasons_and_no_numbers(waveform, reason):
    found = measure(waveform)
    assert set(found.values) == {"duration_ratio"}
    assert set(found.reasons) == {"mcd", "log_f0_rmse"}
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reasons["mcd"])
    mirrored = measure(make_speech(), natural=waveform)
    assert mirrored.reasons["mcd"].startswith("natural audio: ")


def test_measure_against_unvoiced_gives_reason_for_pitch_alone():
    hiss = np.diff(make_noise(1.2), n=8)  # no energy where pitch could be
    found = measure(hiss[:FS], natural=hiss)
    assert set(found.values) == {"mcd", "duration_ratio"}
    assert "voiced in both, fewer than 20" in found.reasons["log_f0_rmse"]


def test_analyze_low_rate_raises():
    with pytest.raises(MeasureUnavailable, match="8000 Hz, want at least 16000"):
        analyze(make_noise(1.0), 8000)


@pytest.mark.parametrize(("fs", "size"), [(16000, 24), (22050, 24), (48000, 35)])
def test_analyze_other_rates_give_cepstra_of_a_known_rate(fs, size):
    found = analyze(make_noise(0.5), fs)
    assert found.mel_cepstra.shape == (len(found.f0), size)
    assert len(found.is_speech) == len(found.f0)


def test_align_long_utterances_pairs_each_nth_frame_of_both():
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(8200, 2)).cumsum(axis=0)
    long = Analysis(frames, np.ones(8200), np.ones(8200, dtype=bool))
    one, other = align(long, long)
    assert np.array_equal(one, other)
    assert np.array_equal(one, np.arange(0, 8200, 3))


def test_measure_against_long_audio_stays_within_memory():
    ran = subprocess.run(
        [sys.executable, "-c", LONG], capture_output=True, text=True, check=True
    )
    mcd, more = (float(word) for word in ran.stdout.split())
    assert mcd > 0
    assert 100 < more < 650, ran.stdout  # MiB; the full table alone would take 690


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6])
def test_measure_alone_constructed_signal_gives_its_silence(share):
    quiet = round(share * 4 * FS)
    waveform = make_noise(4)
    waveform[FS // 4 : FS // 4 + quiet] *= 1e-3  # 60 dB below
    found = measure_alone(waveform, FS)
    assert found == {"silence_share": pytest.approx(share, abs=0.005)}


def test_measure_alone_takes_clicks_for_silence():
    waveform = np.concatenate([make_noise(1), np.zeros(FS)])
    waveform[FS + FS // 2] = 1.0
    assert measure_alone(waveform, FS)["silence_share"] == pytest.approx(0.5)


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_measure_alone_silent_audio_is_all_silence(level):
    assert measure_alone(make_noise(1, level), FS) == {"silence_share": 1.0}
