import librosa
import numpy as np
import pytest
import torch

from espnet_vibevoice.models.mel import MelSpectrogram


def test_mel_equals_librosa():
    waveform = np.random.default_rng(0).normal(0, 0.1, 5000).astype(np.float32)
    mel = MelSpectrogram(24000, 1024, 256, 80)(torch.from_numpy(waveform)[None])
    wanted = librosa.feature.melspectrogram(
        y=waveform, sr=24000, n_fft=1024, hop_length=256, n_mels=80, pad_mode="constant"
    )
    assert mel.shape == (1, 80, 20)
    assert np.allclose(mel[0].numpy(), wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("samples", [1, 255, 256])
def test_mel_takes_any_length(samples):
    mel = MelSpectrogram(24000, 1024, 256, 80)(torch.randn(2, samples))
    assert mel.shape == (2, 80, 1 + samples // 256)
    assert torch.isfinite(mel).all()
