"""The training loss of the realtime family.

One pass over the layout of `sequence`: the diffusion loss under the hidden state
before each frame, and the end-of-speech loss at each frame. A share of the rows runs
the negative prompt instead of the text, so that guidance has a branch to lean on;
those rows take no part in the end-of-speech loss, because generation never asks the
classifier about that branch.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from espnet_vibevoice.models.diffusion import compute_diffusion_loss, draw_noise
from espnet_vibevoice.models.sequence import (
    SequenceLayout,
    build_layout,
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
            the text, for guidance.
        diffusion_weight (float): Weight of the diffusion loss.
        eos_weight (float): Weight of the end-of-speech loss.
        eos_positive_weight (float | None): Weight of the last frame against each
            other frame; more ends speech earlier. None: as much as all the others.
    """

    text_window: int = 5
    speech_window: int = 6
    ddpm_batch_mul: int = 4
    uncond_rate: float = 0.15
    diffusion_weight: float = 1.0
    eos_weight: float = 0.1
    eos_positive_weight: float | None = None


@dataclass(frozen=True)
class RealtimeLosses:
    """Losses of a batch. All but ``loss`` are detached scalars for the log.

    Args:
        loss (Tensor): Weighted sum; the one to differentiate.
        diffusion_loss (Tensor): Mean over frames.
        eos_loss (Tensor): Mean over conditional rows; NaN if there is none.
        eos_accuracy (Tensor): Share of conditional rows where the classifier first
            fires on the last frame, so where generation would stop; NaN if none.
        unfed_tokens (Tensor): Mean number of tokens of a conditional row that no
            window reaches before speech ends; NaN if there is none.
    """

    loss: Tensor
    diffusion_loss: Tensor
    eos_loss: Tensor
    eos_accuracy: Tensor
    unfed_tokens: Tensor


def compute_losses(
    model: "RealtimeModel",
    text: Tensor,
    text_lengths: Tensor,
    latents: Tensor,
    latents_lengths: Tensor,
    settings: RealtimeLossSettings,
    *,
    noise: Tensor | None = None,
    timesteps: Tensor | None = None,
    uncond_rows: Tensor | None = None,
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
        noise (Tensor | None): Noise (N, R, D) of the N real frames, row after row;
            drawn if None.
        timesteps (Tensor | None): Timesteps, int64 (N, R); drawn if None.
        uncond_rows (Tensor | None): True for rows that run the negative prompt, bool
            (B,); drawn if None.
        generator (torch.Generator | None): Source of what is drawn; default global.

    Returns:
        RealtimeLosses: Losses and figures for the log.

    Raises:
        ValueError: If a shape, length or token id does not fit.
    """
    _validate_batch(model, text, text_lengths, latents, latents_lengths)
    if uncond_rows is None:
        uncond_rows = draw_rows(len(text), settings.uncond_rate, generator)
    uncond_rows = uncond_rows.to(text.device)
    text, text_lengths = replace_text(model, text, text_lengths, uncond_rows)
    layout = build_layout(
        text_lengths,
        latents_lengths,
        settings.text_window,
        settings.speech_window,
        max_text=text.shape[1],
        max_frames=latents.shape[1],
    )
    scaled = model.scale_latents(latents.float())
    scaled = scaled.masked_fill(~layout.speech_mask[..., None], 0.0)
    hidden = model.run_sequence(model.embed_text(text), scaled, layout)

    frames = layout.speech_mask  # (B, T_lat)
    condition = gather_positions(hidden, layout.condition_positions)[frames]
    if noise is None or timesteps is None:
        drawn = draw_noise(
            len(condition),
            settings.ddpm_batch_mul,
            scaled.shape[-1],
            model.schedule.num_train_timesteps,
            generator,
        )
        noise = drawn[0] if noise is None else noise
        timesteps = drawn[1] if timesteps is None else timesteps
    diffusion_loss = compute_diffusion_loss(
        model.prediction_head,
        model.schedule,
        condition,
        scaled[frames],
        noise.to(scaled.device),
        timesteps.to(scaled.device),
    ).mean()
    at_frames = gather_positions(hidden, layout.speech_positions)
    eos_logits = model.tts_eos_classifier(at_frames).float()  # (B, T_lat)
    return _sum_up(settings, diffusion_loss, eos_logits, layout, ~uncond_rows)


def _sum_up(
    settings: RealtimeLossSettings,
    diffusion_loss: Tensor,
    eos_logits: Tensor,
    layout: SequenceLayout,
    is_conditional: Tensor,
) -> RealtimeLosses:
    """Weigh the losses and gather the figures for the log."""
    per_row = compute_eos_loss(eos_logits, layout, settings.eos_positive_weight)
    eos_loss = (per_row * is_conditional).sum() / is_conditional.sum().clamp(min=1)
    stops_right = find_stop_frames(eos_logits, layout) == layout.speech_mask.sum(1) - 1
    return RealtimeLosses(
        loss=settings.diffusion_weight * diffusion_loss
        + settings.eos_weight * eos_loss,
        diffusion_loss=diffusion_loss.detach(),
        eos_loss=per_row.detach()[is_conditional].mean(),
        eos_accuracy=stops_right[is_conditional].float().mean(),
        unfed_tokens=layout.unfed_tokens[is_conditional].float().mean(),
    )


def draw_rows(
    num_rows: int, rate: float, generator: torch.Generator | None = None
) -> Tensor:
    """Choose the rows that run the negative prompt.

    Args:
        num_rows (int): Rows of the batch, B.
        rate (float): Chance of each row.
        generator (torch.Generator | None): Source of randomness.

    Returns:
        Tensor: True for chosen rows, bool (B,).
    """
    device = generator.device if generator is not None else "cpu"
    return torch.rand(num_rows, generator=generator, device=device) < rate


def replace_text(
    model: "RealtimeModel", text: Tensor, text_lengths: Tensor, uncond_rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Put the negative prompt in place of some rows' text, and 0 into padding.

    Args:
        model (RealtimeModel): Knows the negative prompt.
        text (Tensor): Token ids (B, T_text).
        text_lengths (Tensor): Tokens of each row (B,).
        uncond_rows (Tensor): True where to replace, bool (B,).

    Returns:
        tuple[Tensor, Tensor]: New ids (B, T_text) and lengths (B,).
    """
    if bool(uncond_rows.any()):
        prompt = torch.zeros_like(text)
        prompt[:, 0] = model.get_negative_prompt_id()
        text = torch.where(uncond_rows[:, None], prompt, text)
        text_lengths = torch.where(uncond_rows, 1, text_lengths)
    token = torch.arange(text.shape[1], device=text.device)
    return text.masked_fill(token >= text_lengths[:, None], 0), text_lengths


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


def _validate_batch(
    model: "RealtimeModel",
    text: Tensor,
    text_lengths: Tensor,
    latents: Tensor,
    latents_lengths: Tensor,
) -> None:
    """Check the shapes and token ids of a batch."""
    dim = model.config.latent_dim
    if text.dim() != 2 or latents.dim() != 3 or latents.shape[2] != dim:
        raise ValueError(
            f"text {tuple(text.shape)} and latents {tuple(latents.shape)}: wanted "
            f"(B, T_text) and (B, T_lat, {dim}). Dump the features with this base."
        )
    sizes = {len(text), len(text_lengths), len(latents), len(latents_lengths)}
    if len(sizes) > 1:
        raise ValueError(
            f"text {len(text)}, text_lengths {len(text_lengths)}, latents "
            f"{len(latents)}, latents_lengths {len(latents_lengths)} rows: wanted the "
            "same number. Check the batch."
        )
    token = torch.arange(text.shape[1], device=text.device)
    real = text[token < text_lengths[:, None]]
    vocab_size = model.config.language_model.vocab_size
    if bool(((real < 0) | (real >= vocab_size)).any()):
        raise ValueError(
            f"token ids {int(real.min())} to {int(real.max())}: the base has 0 to "
            f"{vocab_size - 1}. Use the tokenizer of this base."
        )
