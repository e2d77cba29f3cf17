"""How far two waveforms are apart: log-mel spectra at several resolutions.

A short window tells when something happens, a long one at which pitch; their mean is
what trained codecs minimise (Yamamoto et al. 2020, arXiv 1910.11480, section 2.2).
"""

from functools import lru_cache

import torch
from torch import Tensor

from espnet_vibevoice.models.mel import MelSpectrogram

RESOLUTIONS = ((512, 40), (1024, 80), (2048, 80))  # samples per window, mel bands
FLOOR = 1e-8  # power below which nothing is heard


@lru_cache
def _build_mel(
    sampling_rate: int, window: int, bands: int, device: torch.device
) -> MelSpectrogram:
    """Build a spectrogram with windows a quarter apart."""
    return MelSpectrogram(sampling_rate, window, window // 4, bands).to(device)


def compute_log_mel_distance(
    estimate: Tensor, target: Tensor, sampling_rate: int
) -> Tensor:
    """Mean absolute difference of log-mel spectra, averaged over `RESOLUTIONS`.

    Args:
        estimate (Tensor): Waveforms (B, T_wav); gradients flow through them.
        target (Tensor): Waveforms to reach (B, T_wav).
        sampling_rate (int): Samples per second.

    Returns:
        Tensor: Distance of each row, in nepers of power (B,).

    Raises:
        ValueError: If the shapes differ.
    """
    if estimate.shape != target.shape or estimate.dim() != 2:
        raise ValueError(
            f"waveforms {tuple(estimate.shape)} and {tuple(target.shape)}: wanted the "
            "same shape (B, T_wav). Decode as many frames of each."
        )
    distances = []
    for window, bands in RESOLUTIONS:
        mel = _build_mel(sampling_rate, window, bands, estimate.device)
        first, second = (
            mel(waveform.float()).clamp(min=FLOOR).log()
            for waveform in (estimate, target)
        )
        distances.append((first - second).abs().mean(dim=(1, 2)))
    return torch.stack(distances).mean(0)
