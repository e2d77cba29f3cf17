"""The training loss of the realtime family.

One pass over the layout of `sequence`: the diffusion loss under the hidden state
before each frame, and the end-of-speech loss at each frame. Frames of a voice prompt
are read, never learnt. A share of the rows runs the negative prompt instead of voice
prompt and text, so that guidance has a branch to lean on; those rows take no part in
the end-of-speech loss, because generation never asks the classifier about that branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from espnet_vibevoice.models.batch import (
    PromptBatch,
    build_sequences,
    draw_rows,
    replace_text,
    start_generators,
    validate_batch,
    validate_prompts,
)
from espnet_vibevoice.models.diffusion import compute_diffusion_loss, draw_noise
from espnet_vibevoice.models.processes import sum_over_processes
from espnet_vibevoice.models.reconstruction import compute_reconstruction_loss
from espnet_vibevoice.models.sequence import (
    SPEECH_TYPE,
    SequenceLayout,
    gather_positions,
)

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel


@dataclass(frozen=True)
class RealtimeLossSettings:
    """How the training loss is built.

    Args:
        text_window (int): Text tokens per window; the released base uses 5.
        speech_window (int): Frames per window; the released base uses 6.
        ddpm_batch_mul (int): Noise draws per frame; more is smoother and slower.
        uncond_rate (float): Share of rows that see the negative prompt instead of
            voice prompt and text, for guidance.
        prompt_text_type (int): Type of a voice prompt's transcript: 0 as in released
            voices, 1 as text to speak.
        diffusion_weight (float): Weight of the diffusion loss.
        eos_weight (float): Weight of the end-of-speech loss.
        eos_positive_weight (float | None): Weight of the last frame against each
            other frame; more ends speech earlier. None: as much as all the others.
        reconstruction_weight (float): Weight of the waveform term; 0 leaves it out.
        reconstruction_frames (int): Frames decoded of a row for it; more costs memory.
    """

    text_window: int = 5
    speech_window: int = 6
    ddpm_batch_mul: int = 4
    uncond_rate: float = 0.15
    prompt_text_type: int = SPEECH_TYPE
    diffusion_weight: float = 1.0
    eos_weight: float = 0.1
    eos_positive_weight: float | None = None
    reconstruction_weight: float = 0.0
    reconstruction_frames: int = 8


@dataclass(frozen=True)
class RealtimeLosses:
    """Losses of a batch. All but ``loss`` are detached scalars for the log.

    With several processes each figure is this one's part: the mean over processes,
    weighted by their rows, is the figure of the whole batch (see `processes`).

    Args:
        loss (Tensor): Weighted sum; the one to differentiate.
        diffusion_loss (Tensor): Mean over frames.
        eos_loss (Tensor): Mean over conditional rows; NaN if there is none.
        eos_accuracy (Tensor): Share of conditional rows where the classifier first
            fires on the last frame, so where generation would stop; NaN if none.
        unfed_tokens (Tensor): Mean number of tokens of a conditional row that no
            window reaches before speech ends; NaN if there is none.
        reconstruction_loss (Tensor | None): Distance of decoded stretches; None if
            its weight is 0.
    """

    loss: Tensor
    diffusion_loss: Tensor
    eos_loss: Tensor
    eos_accuracy: Tensor
    unfed_tokens: Tensor
    reconstruction_loss: Tensor | None = None


def compute_losses(
    model: "RealtimeModel",
    text: Tensor,
    text_lengths: Tensor,
    latents: Tensor,
    latents_lengths: Tensor,
    settings: RealtimeLossSettings,
    *,
    prompts: PromptBatch | None = None,
    noise: Tensor | None = None,
    timesteps: Tensor | None = None,
    uncond_rows: Tensor | None = None,
    row_seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> RealtimeLosses:
    """Compute the training losses of a right-padded batch.

    Args:
        model (RealtimeModel): The model.
        text (Tensor): Token ids, int64 (B, T_text); padding may hold anything.
        text_lengths (Tensor): int64 (B,).
        latents (Tensor): Unscaled latents (B, T_lat, D).
        latents_lengths (Tensor): int64 (B,).
        settings (RealtimeLossSettings): Windows, rates and weights.
        prompts (PromptBatch | None): Voice prompts.
        noise (Tensor | None): Noise (N, R, D) of the N real frames, row after row;
            drawn if None.
        timesteps (Tensor | None): Timesteps, int64 (N, R); drawn if None.
        uncond_rows (Tensor | None): True for rows that run the negative prompt, bool
            (B,); drawn if None.
        row_seeds (Tensor | None): Seed of all that is drawn for a row, int64 (B,), see
            `batch.seed_rows`; drawn if None.
        generator (torch.Generator | None): Where seeds are drawn; default global.

    Returns:
        RealtimeLosses: Losses and figures for the log.

    Raises:
        ValueError: If a shape, length or token id does not fit.
    """
    validate_batch(model, text, text_lengths, latents, latents_lengths)
    if prompts is not None:
        validate_prompts(model, prompts, len(text))
    generators = start_generators(len(text), row_seeds, generator)
    if uncond_rows is None:
        uncond_rows = draw_rows(generators, settings.uncond_rate)
    uncond_rows = uncond_rows.to(text.device)
    text, text_lengths = replace_text(model, text, text_lengths, uncond_rows)
    batch = build_sequences(
        text,
        text_lengths,
        latents,
        latents_lengths,
        text_window=settings.text_window,
        speech_window=settings.speech_window,
        prompts=None if prompts is None else prompts.drop(uncond_rows),
        prompt_text_type=settings.prompt_text_type,
    )
    layout = batch.layout
    scaled = model.scale_latents(batch.latents)
    hidden = model.run_sequence(model.embed_text(batch.text), scaled, layout)
    conditions = gather_positions(hidden, layout.condition_positions)  # (B, T_lat, H)
    diffusion_loss = _compute_diffusion(
        model, conditions, scaled, layout, settings, (noise, timesteps), generators
    )
    at_frames = gather_positions(hidden, layout.speech_positions)
    eos_logits = model.tts_eos_classifier(at_frames).float()  # (B, T_lat)
    reconstruction = None
    if settings.reconstruction_weight > 0:
        reconstruction = compute_reconstruction_loss(
            model,
            conditions,
            scaled,
            layout,
            settings.reconstruction_frames,
            generators,
        )
    return _sum_up(
        settings, diffusion_loss, reconstruction, eos_logits, layout, ~uncond_rows
    )


def _compute_diffusion(
    model: "RealtimeModel",
    conditions: Tensor,
    scaled: Tensor,
    layout: SequenceLayout,
    settings: RealtimeLossSettings,
    given: tuple[Tensor | None, Tensor | None],
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Compute the diffusion loss of each frame to learn, (N,)."""
    frames = layout.speech_mask  # (B, T_lat)
    noise, timesteps = given
    if noise is None or timesteps is None:
        drawn = draw_noise(
            generators,
            frames.sum(1).tolist(),
            settings.ddpm_batch_mul,
            scaled.shape[-1],
            model.schedule.num_train_timesteps,
        )
        noise = drawn[0] if noise is None else noise
        timesteps = drawn[1] if timesteps is None else timesteps
    return compute_diffusion_loss(
        model.prediction_head,
        model.schedule,
        conditions[frames],  # (N, H)
        scaled[frames],
        noise.to(scaled.device),
        timesteps.to(scaled.device),
    )


def _sum_up(
    settings: RealtimeLossSettings,
    diffusion_loss: Tensor,
    reconstruction: tuple[Tensor, Tensor] | None,
    eos_logits: Tensor,
    layout: SequenceLayout,
    is_conditional: Tensor,
) -> RealtimeLosses:
    """Divide sums by the counts of all processes, weigh the losses."""
    per_row = compute_eos_loss(eos_logits, layout, settings.eos_positive_weight)
    last_frame = layout.last_frame_mask.int().argmax(1)
    stops_right = find_stop_frames(eos_logits, layout) == last_frame
    sums = [
        (values * is_conditional).sum()
        for values in (per_row, stops_right.float(), layout.unfed_tokens.float())
    ]
    distances, weights = reconstruction or (None, torch.zeros_like(sums[0]))
    numbers = (len(per_row), len(diffusion_loss), is_conditional.sum(), weights)
    counts = torch.stack([torch.as_tensor(n).to(weights) for n in numbers])
    of_all = sum_over_processes(counts)
    # Who averages over processes weights each by its rows; this undoes it.
    share = of_all[0] / counts[0]
    diffusion = diffusion_loss.sum() / of_all[1] * share
    eos_loss = sums[0] / of_all[2].clamp(min=1) * share
    loss = settings.diffusion_weight * diffusion + settings.eos_weight * eos_loss
    distance = None
    if distances is not None:
        distance = distances / of_all[3].clamp(min=1e-6) * share
        loss = loss + settings.reconstruction_weight * distance
        distance = distance.detach()
    return RealtimeLosses(
        loss,
        diffusion.detach(),
        *(total.detach() / of_all[2] * share for total in sums),  # 0 / 0 is NaN
        reconstruction_loss=distance,
    )


def compute_eos_loss(
    logits: Tensor, layout: SequenceLayout, positive_weight: float | None
) -> Tensor:
    """Binary cross entropy of "speech ends with this frame", weighted mean of a row.

    Args:
        logits (Tensor): Classifier's logits (B, T_lat).
        layout (SequenceLayout): Knows the real frames and the last one.
        positive_weight (float | None): Weight of the last frame, the others having
            1. None: the number of the others, at least 1.

    Returns:
        Tensor: Loss of each row (B,).
    """
    labels = layout.last_frame_mask.float()
    others = layout.speech_mask.sum(1, keepdim=True) - 1  # (B, 1)
    if positive_weight is None:
        weight = others.clamp(min=1).float()
    else:
        weight = torch.full_like(others, positive_weight, dtype=torch.float)
    weights = torch.where(layout.last_frame_mask, weight, 1.0) * layout.speech_mask
    errors = functional.binary_cross_entropy_with_logits(
        logits, labels, reduction="none"
    )
    return (errors * weights).sum(1) / weights.sum(1)


def find_stop_frames(logits: Tensor, layout: SequenceLayout) -> Tensor:
    """Find the frame at which generation would stop.

    Args:
        logits (Tensor): Classifier's logits (B, T_lat).
        layout (SequenceLayout): Knows the real frames.

    Returns:
        Tensor: First real frame with a logit above 0, -1 if there is none (B,).
    """
    fires = (logits > 0) & layout.speech_mask
    first = fires.int().argmax(1)
    return torch.where(fires.any(1), first, -1)
