import pytest
import torch

from espnet_vibevoice.models.calibration import calibrate_codec
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.realtime import RealtimeModel


@pytest.mark.parametrize("num_samples", [1, 3199, 3200, 3201, 26500])
def test_encode_any_length_gives_ceil_frames(tiny_model, num_samples):
    codec = tiny_model.acoustic_tokenizer
    latents = codec.encode(torch.randn(num_samples))
    assert latents.shape == (-(-num_samples // 3200), codec.latent_dim)
    assert len(latents) == codec.count_frames(num_samples)
    assert latents.dtype == torch.float32
    assert not latents.requires_grad


def test_encode_appended_samples_keep_earlier_frames(tiny_model):
    codec = tiny_model.acoustic_tokenizer
    waveform = torch.randn(9600)
    assert torch.allclose(
        codec.encode(waveform)[:2], codec.encode(waveform[:6400]), atol=1e-5
    )


def test_decode_encoded_gives_whole_frames_that_differ(tiny_model):
    codec = tiny_model.acoustic_tokenizer
    latents = codec.encode(torch.randn(10000) * 0.05)
    waveform = codec.decode(latents)
    assert waveform.shape == (4 * 3200,)
    assert waveform.std() > 0.01
    assert latents.std(dim=0).min() > 0.01


def test_calibrate_codec_sets_loudness_and_unit_latents(tiny_model):
    codec = tiny_model.acoustic_tokenizer
    waveform = torch.randn(64000, generator=torch.Generator().manual_seed(0)) * 0.1
    calibrate_codec(tiny_model, [waveform], target_rms=0.05)
    latents = codec.encode(waveform)
    scaled = tiny_model.scale_latents(latents)
    decoded = codec.decode(latents)
    assert abs(scaled.mean()) < 1e-4
    assert abs(scaled.std() - 1) < 1e-4
    assert abs(decoded.square().mean().sqrt() - 0.05) < 1e-3
    calibrate_codec(tiny_model, [waveform], target_rms=0.05, max_peak=0.01)
    assert codec.decode(latents).abs().max() < 0.0101


def test_encode_without_encoder_raises(original):
    model = RealtimeModel.from_config(parse_config(original), has_encoder=False)
    assert not model.has_encoder
    with pytest.raises(RuntimeError, match="no acoustic encoder"):
        model.acoustic_tokenizer.encode(torch.zeros(3200))


def test_encode_batch_raises(tiny_model):
    with pytest.raises(ValueError, match=r"wanted \(T_wav,\)"):
        tiny_model.acoustic_tokenizer.encode(torch.zeros(1, 3200))


def test_decode_wrong_width_raises(tiny_model):
    with pytest.raises(ValueError, match=r"wanted \(T_lat, 4\)"):
        tiny_model.acoustic_tokenizer.decode(torch.zeros(3, 5))
