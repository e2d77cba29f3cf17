import pytest
import torch

from espnet_vibevoice.models.spectral import compute_log_mel_distance

FS = 24000


def make_tone(frequency, num_samples=4800):
    return 0.1 * torch.sin(2 * torch.pi * frequency * torch.arange(num_samples) / FS)


def test_distance_grows_with_pitch_difference():
    waveforms = torch.stack([make_tone(f) for f in (440, 460, 880)])
    target = make_tone(440).expand(3, -1)
    same, near, far = compute_log_mel_distance(waveforms, target, FS).tolist()
    assert same == 0.0
    assert 0 < near < far


def test_distance_of_twice_the_amplitude_is_its_logarithm():
    noise = torch.randn(1, 9600, generator=torch.Generator().manual_seed(0))
    distance = compute_log_mel_distance(2 * noise, noise, FS)
    assert distance.item() == pytest.approx(
        2 * torch.tensor(2.0).log().item(), abs=1e-3
    )


def test_distance_gradient_of_silence_is_finite():
    silence = torch.zeros(1, 3200, requires_grad=True)
    compute_log_mel_distance(silence, make_tone(440, 3200)[None], FS).sum().backward()
    assert silence.grad.isfinite().all()


def test_distance_other_shape_raises():
    with pytest.raises(ValueError, match=r"wanted the same shape \(B, T_wav\)"):
        compute_log_mel_distance(torch.zeros(1, 3200), torch.zeros(1, 3201), FS)
