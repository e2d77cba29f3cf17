"""The training loss of the multi-speaker family.

One pass over the sequence of `multispeaker_sequence`. The diffusion loss stands under
the hidden state before each frame. The stop loss teaches, at those positions and at the
last frame, whether speech goes on or ends, among the four tokens that generation knows.
The token loss is that of the whole vocabulary on control tokens and, if asked, on text.
A share of the rows runs the negative branch of guidance: the opening token in place of
the prompt. Generation asks that branch for no token, so those rows learn frames alone.

A vocabulary has 150 000 entries: logits are computed where a label stands, only there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from espnet_vibevoice.models.batch import draw_rows, start_generators
from espnet_vibevoice.models.diffusion import compute_diffusion_loss, draw_noise
from espnet_vibevoice.models.multispeaker_config import SpeechTokens
from espnet_vibevoice.models.multispeaker_draws import (
    LatentNoise,
    add_latent_noise,
    draw_latent_noise,
)
from espnet_vibevoice.models.multispeaker_sequence import (
    MultispeakerBatch,
    TrainingSequence,
    build_sequence,
    validate_batch,
)
from espnet_vibevoice.models.processes import sum_over_processes
from espnet_vibevoice.models.sequence import gather_positions

if TYPE_CHECKING:
    from espnet_vibevoice.models.multispeaker import MultispeakerModel


@dataclass(frozen=True)
class MultispeakerLossSettings:
    """How the training loss is built.

    Args:
        ddpm_batch_mul (int): Noise draws per frame; more is smoother and slower.
        uncond_rate (float): Share of rows whose prompt is the opening token alone,
            for guidance.
        sample_latents (bool): Whether latents are drawn around their means, as the
            base was trained, with the codec's own deviation.
        append_end_of_text (bool): Whether the end of text follows the end of speech.
        diffusion_weight (float): Weight of the diffusion loss.
        token_weight (float): Weight of the token loss.
        text_token_weight (float): Weight of a text token against a control token in
            the token loss; 0 leaves text out and saves memory.
        stop_weight (float): Weight of the stop loss.
        stop_positive_weight (float | None): Weight of the last frame against each
            other position; more ends speech earlier. None: as much as all the others.
    """

    ddpm_batch_mul: int = 4
    uncond_rate: float = 0.15
    sample_latents: bool = True
    append_end_of_text: bool = True
    diffusion_weight: float = 1.4
    token_weight: float = 0.04
    text_token_weight: float = 0.0
    stop_weight: float = 0.1
    stop_positive_weight: float | None = None


@dataclass(frozen=True)
class MultispeakerLosses:
    """Losses of a batch. All but ``loss`` are detached scalars for the log.

    With several processes each figure is this one's part: the mean over processes,
    weighted by their rows, is the figure of the whole batch (see `processes`).

    Args:
        loss (Tensor): Weighted sum; the one to differentiate.
        diffusion_loss (Tensor): Mean over frames.
        token_loss (Tensor): Weighted mean over labels; NaN if there is none.
        stop_loss (Tensor): Mean over conditional rows; NaN if there is none.
        stop_accuracy (Tensor): Share of conditional rows where the likeliest token is
            right at every frame, so that generation would stop with the last one; NaN
            if there is none.
    """

    loss: Tensor
    diffusion_loss: Tensor
    token_loss: Tensor
    stop_loss: Tensor
    stop_accuracy: Tensor


def compute_losses(
    model: "MultispeakerModel",
    batch: MultispeakerBatch,
    settings: MultispeakerLossSettings,
    *,
    noise: Tensor | None = None,
    timesteps: Tensor | None = None,
    latent_noise: LatentNoise | None = None,
    uncond_rows: Tensor | None = None,
    row_seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> MultispeakerLosses:
    """Compute the training losses of a right-padded batch.

    Args:
        model (MultispeakerModel): The model.
        batch (MultispeakerBatch): Prompts, latents and features.
        settings (MultispeakerLossSettings): Rates and weights.
        noise (Tensor | None): Noise (N, R, D) of the N frames to learn, row after
            row; drawn if None.
        timesteps (Tensor | None): Timesteps, int64 (N, R); drawn if None.
        latent_noise (LatentNoise | None): What moves latents from their means; drawn
            if None and ``sample_latents``.
        uncond_rows (Tensor | None): True for unconditional rows, bool (B,); drawn if
            None.
        row_seeds (Tensor | None): Seed of all that is drawn for a row, int64 (B,), see
            `batch.seed_rows`; drawn if None.
        generator (torch.Generator | None): Where seeds are drawn; default global.

    Returns:
        MultispeakerLosses: Losses and figures for the log.

    Raises:
        ValueError: If a shape, length or token id does not fit.
        RuntimeError: If the model does not know its control tokens.
    """
    tokens = model.get_tokens()
    validate_batch(batch, tokens, model.config)
    generators = start_generators(len(batch.prompt), row_seeds, generator)
    if uncond_rows is None:
        uncond_rows = draw_rows(generators, settings.uncond_rate)
    uncond_rows = uncond_rows.to(batch.prompt.device)
    if latent_noise is None and settings.sample_latents:
        latent_noise = draw_latent_noise(generators, batch, tokens)
    if latent_noise is not None:
        batch = add_latent_noise(batch, latent_noise, model.config.latent_std)
    sequence = build_sequence(
        batch,
        tokens,
        uncond_rows=uncond_rows,
        append_end_of_text=settings.append_end_of_text,
    )
    scaled = model.scale_latents(batch.latents.float())
    hidden = model.run_sequence(model.embed_batch(sequence, batch))
    diffusion = _compute_diffusion(
        model, hidden, scaled, sequence, settings, (noise, timesteps), generators
    )
    labelled = ~uncond_rows[:, None]
    token = _compute_tokens(model, hidden, sequence, labelled, settings)
    stop = _compute_stops(model, hidden, sequence, labelled, settings)
    return _sum_up(settings, diffusion, token, stop, ~uncond_rows)


def _compute_diffusion(
    model: "MultispeakerModel",
    hidden: Tensor,
    scaled: Tensor,
    sequence: TrainingSequence,
    settings: MultispeakerLossSettings,
    given: tuple[Tensor | None, Tensor | None],
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Compute the diffusion loss of each frame to learn, (N,)."""
    frames = sequence.frame_taken  # (B, T_lat)
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
    conditions = gather_positions(hidden, sequence.condition_positions)
    return compute_diffusion_loss(
        model.prediction_head,
        model.schedule,
        conditions[frames],  # (N, H)
        scaled[frames],
        noise.to(scaled.device),
        timesteps.to(scaled.device),
    )


def weigh_labels(
    sequence: TrainingSequence, tokens: SpeechTokens, text_token_weight: float
) -> Tensor:
    """Weigh the token that follows each position.

    Args:
        sequence (TrainingSequence): The layout.
        tokens (SpeechTokens): Control tokens.
        text_token_weight (float): Weight of a text token.

    Returns:
        Tensor: 1 where a control token follows, the given weight where text does, 0
            before frames and at the end (B, T_seq), float32.
    """
    following = sequence.next_ids
    allowed = torch.tensor(tokens.allowed, device=following.device)
    is_text = (following >= 0) & ~torch.isin(following, allowed)
    is_control = torch.isin(following, allowed) & (following != tokens.speech_diffusion)
    return is_control.float() + text_token_weight * is_text.float()


def _compute_tokens(
    model: "MultispeakerModel",
    hidden: Tensor,
    sequence: TrainingSequence,
    labelled: Tensor,
    settings: MultispeakerLossSettings,
) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of the token losses and the sum of the weights."""
    weights = weigh_labels(sequence, model.get_tokens(), settings.text_token_weight)
    weights = weights * labelled
    taken = weights > 0  # (B, T_seq)
    logits = model.compute_logits(hidden[taken])  # (N, V)
    errors = functional.cross_entropy(
        logits, sequence.next_ids[taken], reduction="none"
    )
    return (errors * weights[taken]).sum(), weights.sum()


def _compute_stops(
    model: "MultispeakerModel",
    hidden: Tensor,
    sequence: TrainingSequence,
    labelled: Tensor,
    settings: MultispeakerLossSettings,
) -> tuple[Tensor, Tensor]:
    """Return the stop loss of each row (B,), and whether all its choices are right."""
    tokens = model.get_tokens()
    taken = sequence.choice_mask & labelled  # (B, T_seq)
    logits = model.compute_control_logits(hidden[taken])  # (N, 4)
    is_end = sequence.next_ids[taken] == tokens.speech_end
    labels = torch.where(
        is_end,
        tokens.allowed.index(tokens.speech_end),
        tokens.allowed.index(tokens.speech_diffusion),
    )
    others = sequence.frame_taken.sum(1).float()  # (B,)
    positive = others
    if settings.stop_positive_weight is not None:
        positive = torch.full_like(others, settings.stop_positive_weight)
    rows = taken.nonzero()[:, 0]  # (N,)
    errors = functional.cross_entropy(logits, labels, reduction="none")
    errors = errors * torch.where(is_end, positive[rows], 1.0)
    per_row = torch.zeros_like(others).index_add(0, rows, errors)
    wrong = torch.zeros_like(others).index_add(
        0, rows, (logits.argmax(1) != labels).float()
    )
    return per_row / (others + positive), wrong == 0


def _sum_up(
    settings: MultispeakerLossSettings,
    diffusion_loss: Tensor,
    token: tuple[Tensor, Tensor],
    stop: tuple[Tensor, Tensor],
    is_conditional: Tensor,
) -> MultispeakerLosses:
    """Divide sums by the counts of all processes, weigh the losses."""
    per_row, is_right = stop
    numbers = (
        len(per_row),
        len(diffusion_loss),
        token[1],
        is_conditional.sum(),
    )
    counts = torch.stack([torch.as_tensor(n).to(token[1]) for n in numbers])
    of_all = sum_over_processes(counts)
    # Who averages over processes weights each by its rows; this undoes it.
    share = of_all[0] / counts[0]
    diffusion = diffusion_loss.sum() / of_all[1] * share
    sums = [token[0], (per_row * is_conditional).sum()]
    token_loss = sums[0] / of_all[2].clamp(min=1e-6) * share
    stop_loss = sums[1] / of_all[3].clamp(min=1) * share
    loss = (
        settings.diffusion_weight * diffusion
        + settings.token_weight * token_loss
        + settings.stop_weight * stop_loss
    )
    right = (is_right & is_conditional).sum()
    return MultispeakerLosses(
        loss,
        diffusion.detach(),
        # 0 / 0 is NaN
        token_loss=sums[0].detach() / of_all[2] * share,
        stop_loss=sums[1].detach() / of_all[3] * share,
        stop_accuracy=right / of_all[3] * share,
    )
