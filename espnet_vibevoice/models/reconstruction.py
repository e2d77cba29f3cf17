"""The optional waveform term: do the predicted latents sound right?

From one noisy latent and the predicted velocity follows an estimate of the clean one,
``alpha_t x_t - sigma_t v`` (Salimans and Ho 2022, section 4). It is decoded by the
frozen decoder and compared with the decoding of the true latents, as log-mel spectra.
What is guessed from almost pure noise is the mean of all speech and says nothing, so a
row counts by ``alpha_t ** 2``, the signal's share of the energy.

The decoder is large next to a frame: only short stretches of a few rows are decoded.
Gradients pass through the decoder, which stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.models.processes import find_smallest_of_all
from espnet_vibevoice.models.sequence import SequenceLayout
from espnet_vibevoice.models.spectral import compute_log_mel_distance

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel

MAX_ROWS = 4  # rows decoded per step, all processes together


@dataclass(frozen=True)
class Stretches:
    """Stretches of one length.

    Args:
        rows (list[int]): Their rows, K.
        begins (list[int]): Where each one begins, K.
        length (int): Frames of each, L.
    """

    rows: list[int]
    begins: list[int]
    length: int

    def take(self, frames: Tensor) -> Tensor:
        """Cut the stretches out of (B, T_lat, D): (K, L, D)."""
        steps = torch.arange(self.length, device=frames.device)
        begins = torch.tensor(self.begins, device=frames.device)
        rows = torch.tensor(self.rows, device=frames.device)
        return frames[rows[:, None], begins[:, None] + steps]


def compute_reconstruction_loss(
    model: "RealtimeModel",
    condition: Tensor,
    latents: Tensor,
    layout: SequenceLayout,
    max_frames: int,
    generators: Sequence[torch.Generator],
) -> tuple[Tensor, Tensor]:
    """Compare decoded estimates with decoded targets on a few random stretches.

    Of all processes together `MAX_ROWS` rows are decoded, so perhaps none here.

    Args:
        model (RealtimeModel): The model; its decoder must be frozen.
        condition (Tensor): Hidden state before each frame (B, T_lat, H).
        latents (Tensor): Scaled latents (B, T_lat, D).
        layout (SequenceLayout): Knows the frames to learn.
        max_frames (int): Frames of a stretch, at least 1; it bounds the memory.
        generators (Sequence[torch.Generator]): Source of randomness of each row, B.

    Returns:
        tuple[Tensor, Tensor]: Sum of the weighted distances in nepers, and sum of the
            weights; both ().

    Raises:
        ValueError: If max_frames is below 1.
    """
    if max_frames < 1:
        raise ValueError(f"reconstruction_frames is {max_frames}: wanted at least 1")
    total = torch.zeros(2, device=latents.device)
    for stretches in _choose_stretches(layout, max_frames, generators):
        own = [generators[row] for row in stretches.rows]
        clean = stretches.take(latents)  # (K, L, D)
        timesteps, noise = _draw(clean, model.schedule.num_train_timesteps, own)
        distance = _compare(model, stretches.take(condition), clean, timesteps, noise)
        weight = model.schedule.alpha[timesteps].square()  # (K,)
        total = total + torch.stack([(distance * weight).sum(), weight.sum()])
    return total[0], total[1]


def _choose_stretches(
    layout: SequenceLayout, max_frames: int, generators: Sequence[torch.Generator]
) -> list[Stretches]:
    """Choose rows and consecutive frames to learn in each, sorted by length.

    Each row draws a lot; the lowest lots of all processes are decoded.
    """
    mask = layout.speech_mask
    drawn = torch.stack([torch.rand(2, generator=source) for source in generators])
    lots, places = drawn[:, 0], drawn[:, 1].tolist()
    highest = find_smallest_of_all(lots.to(mask.device), MAX_ROWS)[-1].item()
    counts, firsts = mask.sum(1).tolist(), mask.int().argmax(1).tolist()
    begins: dict[int, dict[int, int]] = {}
    for row, lot in enumerate(lots.tolist()):
        if lot <= highest:
            length = min(max_frames, counts[row])
            begin = firsts[row] + int(places[row] * (counts[row] - length + 1))
            begins.setdefault(length, {})[row] = begin
    return [
        Stretches(list(chosen), list(chosen.values()), length)
        for length, chosen in sorted(begins.items())
    ]


def _draw(
    clean: Tensor, num_train_timesteps: int, generators: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Draw one timestep per stretch (K,) and noise for each frame (K, L, D)."""
    shape = clean.shape[1:]
    timesteps = [
        torch.randint(num_train_timesteps, (1,), generator=g) for g in generators
    ]
    noise = [torch.randn(shape, generator=source) for source in generators]
    return torch.cat(timesteps).to(clean.device), torch.stack(noise).to(clean.device)


def _compare(
    model: "RealtimeModel",
    condition: Tensor,
    clean: Tensor,
    timesteps: Tensor,
    noise: Tensor,
) -> Tensor:
    """Distance of what the head makes of noisy stretches from the true ones, (K,)."""
    steps = timesteps.repeat_interleave(clean.shape[1])  # (K * L,)
    noisy = model.schedule.add_noise(clean.flatten(0, 1), noise.flatten(0, 1), steps)
    velocity = model.prediction_head(
        noisy.to(condition.dtype), steps.float(), condition.flatten(0, 1)
    ).float()
    estimate = model.schedule.estimate_clean(noisy, velocity, steps)
    return compute_log_mel_distance(
        _decode(model, estimate.view_as(clean)),
        _decode(model, clean).detach(),
        model.acoustic_tokenizer.sampling_rate,
    )


def _decode(model: "RealtimeModel", scaled: Tensor) -> Tensor:
    """Decode scaled latents (K, L, D) to waveforms (K, T_wav), with gradients."""
    return model.acoustic_tokenizer.run_decoder(model.unscale_latents(scaled))
