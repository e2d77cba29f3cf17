"""Mel spectrograms as a module, so that a loss and a measure share one definition."""

import librosa
import torch
from torch import Tensor, nn

from espnet_vibevoice.models.conversion import leave_autocast


class MelSpectrogram(nn.Module):
    """Power mel spectrograms (Slaney's mel scale and norm, Hann window, centred).

    Args:
        sampling_rate (int): Samples per second.
        n_fft (int): Window in samples.
        hop_length (int): Samples between windows.
        n_mels (int): Mel bands.
    """

    def __init__(self, sampling_rate: int, n_fft: int, hop_length: int, n_mels: int):
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        bands = librosa.filters.mel(sr=sampling_rate, n_fft=n_fft, n_mels=n_mels)
        self.register_buffer("bands", torch.from_numpy(bands), persistent=False)
        window = torch.hann_window(n_fft)
        self.register_buffer("window", window, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Analyse.

        Args:
            waveforms (Tensor): Samples (B, T_wav), of any length from 1 up.

        Returns:
            Tensor: Power (B, n_mels, 1 + T_wav // hop_length).
        """
        with leave_autocast(waveforms):
            spectrum = torch.stft(
                waveforms,
                self.n_fft,
                self.hop_length,
                window=self.window,
                center=True,
                pad_mode="constant",
                return_complex=True,
            )
            return self.bands @ (spectrum.real.square() + spectrum.imag.square())
