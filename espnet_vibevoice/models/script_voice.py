"""Voices of the multi-speaker family: recordings as acoustic latents.

A voice needs no transcript. The recording is brought to the level that the original
processor gives it and encoded, as a rule without sampling.
"""

import numpy as np
import torch
from torch import Tensor

from espnet_vibevoice.data.audio import normalize_loudness
from espnet_vibevoice.models.acoustic import AcousticCodec


def encode_voice(
    codec: AcousticCodec,
    waveform: np.ndarray | Tensor,
    *,
    draws: tuple[Tensor, Tensor] | None = None,
    padded_samples: int = 0,
) -> Tensor:
    """Turn a recording into the latents of a voice.

    Args:
        codec (AcousticCodec): Codec of the model that is to speak.
        waveform (np.ndarray | Tensor): Mono samples at the codec's rate (T_wav,), at
            any level; see `normalize_voice`.
        draws (tuple[Tensor, Tensor] | None): Draws to sample the latents with, as the
            original does: one for the deviation () and one for each value (S, D);
            None: the means.
        padded_samples (int): Length to bring the recording to by zeros, where it is
            shorter. The original gives all voices of a script the same length, which
            changes the last frame of the shorter ones; they get no frames more.

    Returns:
        Tensor: Unscaled latents (S, D), float32, on the codec's device.

    Raises:
        RuntimeError: If the base has no acoustic encoder.
        ValueError: If the recording is not (T_wav,), shorter than a frame, or silent.
    """
    samples = normalize_voice(codec, waveform)
    count = codec.count_frames(len(samples))
    padding = max(0, padded_samples - len(samples))
    samples = torch.nn.functional.pad(samples, (0, padding))
    latents = codec.encode(samples.to(codec.decoder.head.conv.weight.device))[:count]
    if draws is None:
        return latents
    deviation, noise = (draw.to(latents) for draw in draws)
    return latents + codec.encoder.config.vae_std * deviation * noise[:count]


def normalize_voice(codec: AcousticCodec, waveform: np.ndarray | Tensor) -> Tensor:
    """Check a recording and bring it to -25 dBFS, below full scale.

    Args:
        codec (AcousticCodec): Codec of the model that is to speak.
        waveform (np.ndarray | Tensor): Mono samples at the codec's rate (T_wav,).

    Returns:
        Tensor: Samples (T_wav,), float32, on the CPU.

    Raises:
        ValueError: If it is not (T_wav,), shorter than a frame, or silent.
    """
    samples = torch.as_tensor(waveform).detach().float().cpu().numpy()
    hop = codec.hop_samples
    if samples.ndim != 1 or len(samples) < hop:
        raise ValueError(
            f"voice: got shape {samples.shape}, wanted (T_wav,) with at least {hop} "
            f"samples, one frame. Give a longer mono recording; 5 to 30 s are best."
        )
    if not np.isfinite(samples).all() or not samples.any():
        raise ValueError(
            "voice: the recording is silent or holds values that are not finite. Give "
            "speech."
        )
    return torch.from_numpy(normalize_loudness(samples))
