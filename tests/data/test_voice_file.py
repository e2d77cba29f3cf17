import logging

import numpy as np
import pytest
import torch

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.data.voice_file import VoiceMaker, load_prompt_audio
from espnet_vibevoice.models.voice_prompt import build_voice_prompt
from espnet_vibevoice.score.fit import FitLimits

ANY_FIT = FitLimits(min_spectral_correlation=0.0)


def make_noise(path, seconds, fs=24000, channels=None):
    size = round(seconds * fs) if channels is None else (round(seconds * fs), channels)
    write_wav(path, np.random.default_rng(0).normal(0, 0.1, size), fs)
    return path


def test_audio_becomes_mono_at_the_rate_and_loudness(tmp_path, caplog):
    path = make_noise(tmp_path / "a.wav", 6, 16000, 2)
    with caplog.at_level(logging.WARNING):
        waveform = load_prompt_audio(path, 24000)
    assert waveform.shape == (144000,) and waveform.dtype == np.float32
    assert 20 * np.log10(np.sqrt(np.mean(waveform**2))) == pytest.approx(-25, abs=0.01)
    assert caplog.text == ""


def test_audio_short_is_taken_with_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        load_prompt_audio(make_noise(tmp_path / "a.wav", 2), 24000)
    assert "a.wav: 2.0 s; 5 to 30 s of one recording session" in caplog.text


def test_audio_long_raises_unless_allowed(tmp_path, caplog):
    path = make_noise(tmp_path / "a.wav", 31, 8000)
    with pytest.raises(ValueError, match="31.0 s, at most 30 s.*raise --max_sec"):
        load_prompt_audio(path, 24000)
    with caplog.at_level(logging.WARNING):
        assert len(load_prompt_audio(path, 24000, max_sec=40)) == 31 * 24000
    assert "5 to 30 s" in caplog.text


def test_audio_silent_raises(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(6 * 24000), 24000)
    with pytest.raises(ValueError, match="silent .*Give speech"):
        load_prompt_audio(tmp_path / "a.wav", 24000)


def test_make_equals_a_prompt_built_by_hand(tiny_base, tmp_path):
    maker = VoiceMaker(str(tiny_base))
    path = make_noise(tmp_path / "a.wav", 1)
    prompt = maker.make(path, "abc", limits=ANY_FIT, prompt_text_type=1)
    waveform = torch.from_numpy(load_prompt_audio(path, 24000))
    ids = torch.tensor(maker.tokenizer.encode("abc"))
    wanted = build_voice_prompt(maker.model, maker.codec.encode(waveform), ids, 1)
    assert (prompt.num_frames, prompt.num_tokens) == (8, 4)
    assert torch.equal(prompt.tts_lm.keys[1], wanted.tts_lm.keys[1])
    assert torch.equal(
        prompt.neg_tts_lm.last_hidden_state, wanted.neg_tts_lm.last_hidden_state
    )


def test_make_in_half_precision_gives_a_half_prompt(tiny_base, tmp_path):
    maker = VoiceMaker(str(tiny_base), dtype=torch.bfloat16)
    prompt = maker.make(make_noise(tmp_path / "a.wav", 1), "abc", limits=ANY_FIT)
    assert prompt.dtype == torch.bfloat16
    assert {p.dtype for p in maker.codec.parameters()} == {torch.float32}


def test_make_with_a_codec_that_does_not_reconstruct_raises(tiny_base, tmp_path):
    with pytest.raises(ValueError, match="does not fit the decoder"):
        VoiceMaker(str(tiny_base)).make(make_noise(tmp_path / "a.wav", 1), "abc")


@pytest.mark.parametrize("text", ["", " \n", "!?"])
def test_make_without_words_raises(tiny_base, tmp_path, text):
    maker = VoiceMaker(str(tiny_base))
    with pytest.raises(ValueError, match="there is nothing to speak"):
        maker.make(make_noise(tmp_path / "a.wav", 1), text)
