import numpy as np
import pytest
import torch

from espnet_vibevoice.models.script_voice import encode_voice, normalize_voice


def test_encode_voice_brings_recordings_to_one_level(tiny_multispeaker):
    codec = tiny_multispeaker.acoustic_tokenizer
    wave = np.random.default_rng(0).normal(0, 0.1, 7000).astype(np.float32)
    normal = normalize_voice(codec, wave)
    level = 20 * normal.square().mean().sqrt().log10()
    assert float(level) == pytest.approx(-25, abs=0.01)
    latents = encode_voice(codec, wave)
    assert latents.shape == (3, 4)
    assert torch.allclose(latents, codec.encode(normal), atol=1e-6)
    louder = encode_voice(codec, torch.from_numpy(wave * 3))
    assert torch.allclose(latents, louder, atol=1e-3)
    peak = np.zeros(7000, np.float32)
    peak[10] = 0.5
    assert normalize_voice(codec, peak).abs().max() == pytest.approx(1, abs=1e-4)


def test_encode_voice_samples_with_given_draws(tiny_multispeaker):
    codec = tiny_multispeaker.acoustic_tokenizer
    wave = np.random.default_rng(0).normal(0, 0.1, 7000).astype(np.float32)
    noise = torch.randn(3, 4)
    mean = encode_voice(codec, wave, padded_samples=9600)
    drawn = encode_voice(
        codec, wave, draws=(torch.tensor(-0.7), noise), padded_samples=9600
    )
    assert torch.allclose(drawn, mean + 0.5 / 0.8 * -0.7 * noise, atol=1e-6)
    padded = torch.nn.functional.pad(normalize_voice(codec, wave), (0, 2600))
    assert torch.allclose(mean, codec.encode(padded), atol=1e-6)


@pytest.mark.parametrize(
    "wave,message",
    [
        (np.ones(3199), "at least 3200 samples, one frame"),
        (np.ones((2, 9600)), r"got shape \(2, 9600\)"),
        (np.zeros(9600), "silent"),
        (np.full(9600, np.nan), "not finite"),
    ],
)
def test_encode_voice_of_unusable_recordings_raises(tiny_multispeaker, wave, message):
    with pytest.raises(ValueError, match=message):
        encode_voice(tiny_multispeaker.acoustic_tokenizer, wave.astype(np.float32))
