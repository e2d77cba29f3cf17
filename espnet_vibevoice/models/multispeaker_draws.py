"""Latents drawn around their means, as the base was trained.

The codec is a sigma-VAE: each segment of speech, a voice or what is to be learnt, is
moved from its means by noise of one deviation, itself drawn for the segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet_vibevoice.models.multispeaker_config import SpeechTokens
from espnet_vibevoice.models.multispeaker_sequence import MultispeakerBatch


@dataclass(frozen=True)
class LatentNoise:
    """Noise of a batch, in units of the codec's deviation.

    Args:
        frames (Tensor): Of the latents to learn (B, T_lat, D).
        voices (Tensor | None): Of the voices' (B, T_voice, D); None without voices.
    """

    frames: Tensor
    voices: Tensor | None = None


def find_voice_segments(prompt: Tensor, tokens: SpeechTokens) -> list[int]:
    """Count the frames of each voice of one prompt.

    Args:
        prompt (Tensor): Token ids without padding (T,).
        tokens (SpeechTokens): Control tokens.

    Returns:
        list[int]: Frames of each voice, in their order.
    """
    number = (prompt == tokens.speech_start).cumsum(0)
    numbers = number[prompt == tokens.speech_diffusion]
    return torch.unique_consecutive(numbers, return_counts=True)[1].tolist()


def draw_latent_noise(
    generators: Sequence[torch.Generator],
    batch: MultispeakerBatch,
    tokens: SpeechTokens,
) -> LatentNoise:
    """Draw on the CPU, each row from its own source.

    Args:
        generators (Sequence[torch.Generator]): Source of each row, B.
        batch (MultispeakerBatch): The batch.
        tokens (SpeechTokens): Control tokens.

    Returns:
        LatentNoise: The noise, 0 in padding.
    """
    dim = batch.latents.shape[-1]
    prompts, lengths = batch.prompt.cpu(), batch.prompt_lengths.tolist()
    rows = zip(
        generators, prompts, lengths, batch.latents_lengths.tolist(), strict=True
    )
    frames, voices = [], []
    for source, prompt, length, num_frames in rows:
        segments = find_voice_segments(prompt[:length], tokens)
        heard = [_draw_segment(source, count, dim) for count in segments]
        voices.append(torch.cat([torch.zeros(0, dim), *heard]))
        frames.append(_draw_segment(source, num_frames, dim))
    return LatentNoise(
        _pad(frames, batch.latents),
        None if batch.voice_latents is None else _pad(voices, batch.voice_latents),
    )


def add_latent_noise(
    batch: MultispeakerBatch, noise: LatentNoise, latent_std: float
) -> MultispeakerBatch:
    """Move the latents of a batch from their means.

    Args:
        batch (MultispeakerBatch): The batch, with means.
        noise (LatentNoise): The noise.
        latent_std (float): Deviation of the codec.

    Returns:
        MultispeakerBatch: The batch with drawn latents, float32.
    """
    latents = batch.latents.float()
    latents = latents + latent_std * noise.frames.to(latents.device)
    voices = batch.voice_latents
    if voices is not None and noise.voices is not None:
        voices = voices.float() + latent_std * noise.voices.to(latents.device)
    return replace(batch, latents=latents, voice_latents=voices)


def _draw_segment(source: torch.Generator, num_frames: int, dim: int) -> Tensor:
    """Draw a deviation, then the noise of a segment (num_frames, dim)."""
    deviation = torch.randn(1, generator=source)
    return deviation * torch.randn(num_frames, dim, generator=source)


def _pad(rows: list[Tensor], like: Tensor) -> Tensor:
    """Bring rows (T, D) to the size and device of a padded batch (B, T_max, D)."""
    padded = pad_sequence(rows, batch_first=True)  # (B, T, D)
    missing = like.shape[1] - padded.shape[1]
    return torch.nn.functional.pad(padded, (0, 0, 0, missing)).to(like.device)
