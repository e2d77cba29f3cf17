"""The optional waveform term: do the predicted latents sound right?

From one noisy latent and the predicted velocity follows an estimate of the clean one,
``alpha_t x_t - sigma_t v`` (Salimans and Ho 2022, section 4). It is decoded by the
frozen decoder and compared with the decoding of the true latents, as log-mel spectra.
What is guessed from almost pure noise is the mean of all speech and says nothing, so a
row counts by ``alpha_t ** 2``, the signal's share of the energy.

The decoder is large next to a frame: only short stretches of a few rows are decoded.
Gradients pass through the decoder, which stays as it is.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.models.sequence import SequenceLayout
from espnet_vibevoice.models.spectral import compute_log_mel_distance

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel

MAX_ROWS = 4  # rows decoded per batch


def compute_reconstruction_loss(
    model: "RealtimeModel",
    condition: Tensor,
    latents: Tensor,
    layout: SequenceLayout,
    max_frames: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Compare decoded estimates with decoded targets on a few random stretches.

    Args:
        model (RealtimeModel): The model; its decoder must be frozen.
        condition (Tensor): Hidden state before each frame (B, T_lat, H).
        latents (Tensor): Scaled latents (B, T_lat, D).
        layout (SequenceLayout): Knows the frames to learn.
        max_frames (int): Frames of a stretch, at least 1; it bounds the memory.
        generator (torch.Generator | None): Source of randomness; default global.

    Returns:
        Tensor: Weighted mean distance in nepers, ().

    Raises:
        ValueError: If max_frames is below 1.
    """
    if max_frames < 1:
        raise ValueError(f"reconstruction_frames is {max_frames}: wanted at least 1")
    rows, frames = _choose_stretches(layout, max_frames, generator)
    clean = latents[rows, frames]  # (K, L, D)
    timesteps, noise = _draw(clean, model.schedule.num_train_timesteps, generator)
    condition = condition[rows, frames].flatten(0, 1)  # (K * L, H)
    flat, steps = noise.flatten(0, 1), timesteps.repeat_interleave(clean.shape[1])
    noisy = model.schedule.add_noise(clean.flatten(0, 1), flat, steps)
    velocity = model.prediction_head(
        noisy.to(condition.dtype), steps.float(), condition
    ).float()
    estimate = model.schedule.estimate_clean(noisy, velocity, steps)
    distance = compute_log_mel_distance(
        _decode(model, estimate.view_as(clean)),
        _decode(model, clean).detach(),
        model.acoustic_tokenizer.sampling_rate,
    )
    weight = model.schedule.alpha[timesteps].square()  # (K,)
    return (distance * weight).sum() / weight.sum().clamp(min=1e-6)


def _choose_stretches(
    layout: SequenceLayout, max_frames: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Choose rows (K, 1) and consecutive frames to learn in each of them (K, L)."""
    mask = layout.speech_mask
    device = generator.device if generator is not None else "cpu"
    order = torch.randperm(len(mask), generator=generator, device=device)
    rows = order[:MAX_ROWS].to(mask.device)
    count, first = mask[rows].sum(1), mask[rows].int().argmax(1)  # (K,)
    length = min(max_frames, int(count.min()))
    place = torch.rand(len(rows), generator=generator, device=device).to(mask.device)
    begin = first + (place * (count - length + 1)).long()
    frames = begin[:, None] + torch.arange(length, device=mask.device)
    return rows[:, None], frames


def _draw(
    clean: Tensor, num_train_timesteps: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Draw one timestep per stretch (K,) and noise for each frame (K, L, D)."""
    device = generator.device if generator is not None else "cpu"
    timesteps = torch.randint(
        num_train_timesteps, (len(clean),), generator=generator, device=device
    )
    noise = torch.randn(clean.shape, generator=generator, device=device)
    return timesteps.to(clean.device), noise.to(clean.device)


def _decode(model: "RealtimeModel", scaled: Tensor) -> Tensor:
    """Decode scaled latents (K, L, D) to waveforms (K, T_wav), with gradients."""
    decoder = model.acoustic_tokenizer.decoder
    latents = model.unscale_latents(scaled).transpose(1, 2)  # (K, D, L)
    return decoder(latents.to(decoder.head.conv.weight)).audio[:, 0].float()
