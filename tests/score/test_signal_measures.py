import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.score.columns import AGAINST_NATURAL
from espnet_vibevoice.score.signal_measures import measure_utterance

FS = 24000


def make_tone(seconds, fs=FS):
    moments = np.arange(round(seconds * fs)) / fs
    return 0.03 * sum(np.sin(2 * np.pi * 150 * k * moments) for k in range(1, 12))


@pytest.fixture
def natural(tmp_path):
    write_wav(tmp_path / "natural.wav", make_tone(1), FS)
    return tmp_path / "natural.wav"


def test_measure_utterance_copy_has_all_measures(natural):
    found = measure_utterance(natural, natural, is_natural=False)
    assert found.values["mcd"] == found.values["log_f0_rmse"] == 0
    assert found.values["duration_ratio"] == 1
    assert found.values["silence_share"] == 0
    assert found.values["log_f0_pairs"] > 100
    assert (found.reasons, found.fault) == ({}, "")
    assert found.seconds == 1
    # eleven sines of amplitude 0.03
    assert found.level_dbfs == pytest.approx(10 * np.log10(11 * 0.03**2 / 2), abs=0.05)


def test_measure_utterance_natural_is_not_compared(natural):
    found = measure_utterance(natural, natural, is_natural=True)
    assert set(found.values) == {"silence_share"}
    assert found.reasons == {}


def test_measure_utterance_other_rate_and_channels_compares_at_lower_rate(
    natural, tmp_path
):
    tone = make_tone(1, 48000)
    write_wav(tmp_path / "stereo.wav", np.stack([tone, tone], axis=1), 48000)
    found = measure_utterance(natural, tmp_path / "stereo.wav", is_natural=False)
    assert found.values["mcd"] < 1
    assert found.values["duration_ratio"] == pytest.approx(1)


def test_measure_utterance_without_natural_gives_reasons(natural):
    found = measure_utterance(None, natural, is_natural=False)
    assert set(found.reasons) == set(AGAINST_NATURAL)
    assert found.reasons["mcd"] == "no natural audio to compare with"
    assert set(found.values) == {"silence_share"}


def test_measure_utterance_unreadable_natural_gives_reasons(natural, tmp_path):
    found = measure_utterance(tmp_path / "gone.wav", natural, is_natural=False)
    assert set(found.reasons) == set(AGAINST_NATURAL)
    assert found.reasons["mcd"].startswith("natural audio: unreadable: ")
    assert found.fault == ""


@pytest.mark.parametrize("kind", ["missing", "empty", "no bytes", "text"])
@pytest.mark.parametrize("is_natural", [True, False])
def test_measure_utterance_bad_file_gives_fault(natural, tmp_path, kind, is_natural):
    path = tmp_path / "bad.wav"
    if kind == "empty":
        write_wav(path, np.zeros(0), FS)
    elif kind != "missing":
        path.write_bytes(b"" if kind == "no bytes" else b"not audio at all" * 9)
    found = measure_utterance(natural, path, is_natural)
    assert found.fault.startswith(("unreadable: ", "empty: "))
    against = () if is_natural else AGAINST_NATURAL
    assert set(found.reasons) == {*against, "silence_share"}
    assert set(found.reasons.values()) == {found.fault}
    assert (found.values, found.seconds, found.level_dbfs) == ({}, None, None)


def test_measure_utterance_silent_file_has_a_finite_level(natural, tmp_path):
    write_wav(tmp_path / "zero.wav", np.zeros(FS), FS)
    found = measure_utterance(natural, tmp_path / "zero.wav", is_natural=False)
    assert found.level_dbfs == pytest.approx(-120)
    assert found.values == {"silence_share": 1.0, "duration_ratio": 1.0}
    assert "silent" in found.reasons["mcd"]
