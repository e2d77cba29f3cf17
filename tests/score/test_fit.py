import pytest
import torch

from espnet_vibevoice.data.audio import load_audio
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.score.fit import (
    FitLimits,
    FitReport,
    compare_waveforms,
    measure_fit,
)


@pytest.fixture
def speech(speech_scp):
    return torch.from_numpy(load_audio(read_table(speech_scp)["s0"])[0])


def compare(original, decoded):
    return compare_waveforms(original, decoded, 24000)


def noise_like(waveform, seed=0):
    return torch.randn(waveform.shape, generator=torch.Generator().manual_seed(seed))


def report(*files, **limits):
    named = {f"u{index}": figures for index, figures in enumerate(files)}
    return FitReport("base_a", "encoder_b", named, FitLimits(**limits))


def test_compare_equal_is_perfect(speech):
    figures = compare(speech, speech)
    assert figures.log_mel_distance == 0
    assert figures.spectral_correlation == pytest.approx(1)
    assert figures.level_db == pytest.approx(0, abs=1e-4)
    assert figures.seconds == len(speech) / 24000
    assert report(figures).fits


def test_compare_inverted_differs_in_polarity_only(speech):
    figures = compare(speech, -speech)
    assert figures.log_mel_distance == pytest.approx(0, abs=1e-4)
    assert figures.spectral_correlation == pytest.approx(1)
    assert figures.polarity == "inverted"
    assert compare(speech, speech).polarity == "same"
    assert compare(speech, noise_like(speech)).polarity == "unclear"


def test_compare_quieter_is_told_by_level_and_distance(speech):
    figures = compare(speech, speech * 0.01)
    assert figures.level_db == pytest.approx(-40, abs=0.01)
    assert figures.log_mel_distance > 10
    assert figures.spectral_correlation < 0.5
    assert not report(figures).fits  # near silence is what a foreign encoder gives


def test_compare_distance_is_root_mean_square_of_a_gain(speech):
    loud = speech + 0.1 * noise_like(speech)  # no cell at the floor
    figures = compare(loud, loud * 0.5)
    assert figures.log_mel_distance == pytest.approx(6.02, abs=0.01)
    assert figures.spectral_correlation == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", ["noise", "steady", "shifted", "nothing"])
def test_compare_other_sound_does_not_fit(speech, kind):
    decoded = {
        "noise": 0.05 * noise_like(speech),
        "steady": speech[3000:3256].repeat(200)[: len(speech)],
        "shifted": torch.roll(speech, 4000),
        "nothing": torch.zeros_like(speech),
    }[kind]
    figures = compare(speech, decoded)
    assert figures.spectral_correlation < 0.5
    assert not report(figures).fits


def test_compare_noise_20_db_below_fits(speech):
    figures = compare(speech, speech + 0.1 * speech.std() * noise_like(speech))
    assert 0.85 < figures.spectral_correlation < 0.999
    assert report(figures).fits


@pytest.mark.parametrize("samples", [1, 100, 1024])
def test_compare_short_file_has_figures(samples):
    wave = 0.1 * torch.ones(samples)
    assert compare(wave, wave).log_mel_distance == 0


def test_compare_silent_original_is_not_judged(speech):
    assert compare(torch.zeros(5000), noise_like(torch.zeros(5000))) is None
    silent = report(None)
    assert silent.fits and "all files are silent" in silent.summarize()
    both = report(None, compare(speech, speech))
    assert both.total.seconds == len(speech) / 24000
    assert "u0: silent, not judged" in both.describe()


def test_total_weights_by_duration(speech):
    long, short = compare(speech, speech), compare(speech[:6000], speech[:6000] * 0.1)
    total = report(long, short).total
    share = short.seconds / (short.seconds + long.seconds)
    assert total.level_db == pytest.approx(-20 * share, abs=0.01)


def test_require_misfit_raises_with_figures_and_way_out(speech):
    misfit = report(compare(speech, 0.05 * noise_like(speech)))
    with pytest.raises(
        ValueError,
        match=r"encoder_b does not fit the decoder of base_a.*spectral correlation "
        r"-?0\.\d+, log-mel distance \d+\.\d+ dB.*wanted: correlation at least 0\.8, "
        r"distance at most 15 dB.*acoustic_encoder: PATH.*train_encoder",
    ):
        misfit.require()


def test_limit_of_zero_refuses_nothing_and_tells(speech):
    misfit = report(compare(speech, -speech * 1e-3), min_spectral_correlation=0)
    misfit.require()
    assert "level -60.0 dB" in misfit.summarize()
    assert misfit.summarize().endswith("not judged: min_encoder_fit is 0")


@pytest.mark.parametrize("least", [-0.1, 1.1])
def test_limits_out_of_range_raise(least):
    with pytest.raises(ValueError, match=f"min_encoder_fit is {least}.*from 0"):
        FitLimits.from_conf({"min_encoder_fit": least})


def test_from_conf_default_is_strict():
    assert FitLimits.from_conf({}) == FitLimits(0.8, 15.0)


def test_report_survives_a_file(speech):
    first = report(compare(speech, speech), None)
    assert FitReport.from_dict(first.to_dict()) == first
    assert FitReport.join([first, first]) == first
    assert first.to_dict()["polarity"] == "same"


def test_measure_fit_catches_a_mismatched_pair(exact_bases, speech):
    first, second = (load_codec(str(base)) for base in exact_bases)
    for codec in (first, second):  # each alone fits
        decoded, figures = measure_fit(codec, speech)
        assert torch.allclose(decoded, speech, atol=1e-6)
        assert figures.spectral_correlation > 0.999
    mixed = load_codec(str(exact_bases[0]), acoustic_encoder=str(exact_bases[1]))
    figures = measure_fit(mixed, speech)[1]
    assert figures.spectral_correlation < 0.8
    assert not report(figures).fits
