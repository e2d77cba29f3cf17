"""The sequence that the 1.5B and 7B models are trained on.

Prompt, frames, end of speech, end of text: what generation reads and makes, in that
order. A frame is conditioned on the position before it; the opening token is that of
the first. An unconditional row is nothing special: its prompt is the opening token
alone, as in the negative branch of generation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_vibevoice.models.multispeaker_config import MultispeakerConfig, SpeechTokens
from espnet_vibevoice.models.multispeaker_script import (
    MultispeakerScript,
    PromptLayout,
    build_prompt_ids,
    parse_script,
)
from espnet_vibevoice.models.sequence import join_rows

__all__ = [
    "MultispeakerBatch",
    "MultispeakerScript",
    "PromptLayout",
    "TrainingSequence",
    "build_prompt_ids",
    "build_sequence",
    "mask_voices",
    "parse_script",
    "validate_batch",
]


@dataclass(frozen=True)
class MultispeakerBatch:
    """A right-padded batch; padding may hold anything.

    Args:
        prompt (Tensor): Token ids of the prompts, see `build_prompt_ids`, int64
            (B, T_text).
        prompt_lengths (Tensor): int64 (B,).
        latents (Tensor): Unscaled latents to learn, means (B, T_lat, D).
        semantic (Tensor): Semantic features of the same frames (B, T_lat, D_sem).
        latents_lengths (Tensor): int64 (B,).
        voice_latents (Tensor | None): Unscaled latents, means, of all voices of a row
            one behind the other (B, T_voice, D); None if no row has a voice.
        voice_lengths (Tensor | None): Frames of all voices of each row, int64 (B,).
        voice_semantic (Tensor | None): Semantic features of the voices
            (B, T_voice, D_sem). The published trainers add them, generation does
            not, so they are left out as a rule.
    """

    prompt: Tensor
    prompt_lengths: Tensor
    latents: Tensor
    semantic: Tensor
    latents_lengths: Tensor
    voice_latents: Tensor | None = None
    voice_lengths: Tensor | None = None
    voice_semantic: Tensor | None = None


@dataclass(frozen=True)
class TrainingSequence:
    """Sequences of a batch, right-padded.

    Args:
        ids (Tensor): Token ids, speech diffusion at every frame, int64 (B, T_seq).
        lengths (Tensor): Positions of each row (B,).
        voice_mask (Tensor): True at frames of voices, bool (B, T_seq).
        frame_mask (Tensor): True at frames to learn, bool (B, T_seq).
        voice_taken (Tensor): True for the frames of voices that the sequence holds,
            none of an unconditional row, bool (B, T_voice).
        frame_taken (Tensor): True for the frames to learn, bool (B, T_lat).
        condition_positions (Tensor): Position that conditions each frame (B, T_lat);
            0 in padding.
    """

    ids: Tensor
    lengths: Tensor
    voice_mask: Tensor
    frame_mask: Tensor
    voice_taken: Tensor
    frame_taken: Tensor
    condition_positions: Tensor

    @property
    def next_ids(self) -> Tensor:
        """Token that follows each position, -100 where none does (B, T_seq)."""
        position = torch.arange(self.ids.shape[1], device=self.ids.device)
        following = self.ids.roll(-1, dims=1)
        return following.masked_fill(position >= self.lengths[:, None] - 1, -100)

    @property
    def choice_mask(self) -> Tensor:
        """Where "go on" stands against "end": before each frame and at the last.

        Returns:
            Tensor: bool (B, T_seq).
        """
        return self.frame_mask | self.frame_mask.roll(-1, dims=1)


def build_sequence(
    batch: MultispeakerBatch,
    tokens: SpeechTokens,
    *,
    uncond_rows: Tensor | None = None,
    append_end_of_text: bool = True,
) -> TrainingSequence:
    """Lay out a batch.

    Args:
        batch (MultispeakerBatch): The batch.
        tokens (SpeechTokens): Control tokens.
        uncond_rows (Tensor | None): True for rows whose prompt is the opening token
            alone, bool (B,); None for no such row.
        append_end_of_text (bool): Whether the end of text follows the end of speech.

    Returns:
        TrainingSequence: The layout.
    """
    prompt, lengths = batch.prompt, batch.prompt_lengths
    if uncond_rows is None:
        uncond_rows = torch.zeros_like(lengths, dtype=torch.bool)
    prompt = torch.where(uncond_rows[:, None], tokens.speech_start, prompt)
    lengths = torch.where(uncond_rows, 1, lengths)
    frames = batch.latents_lengths[:, None]  # (B, 1)
    slot = torch.arange(batch.latents.shape[1] + 2, device=prompt.device)
    output = torch.full_like(slot, tokens.speech_diffusion).expand(len(frames), -1)
    output = torch.where(slot == frames, tokens.speech_end, output)
    output = torch.where(slot == frames + 1, tokens.end_of_text, output)
    output_lengths = batch.latents_lengths + (2 if append_end_of_text else 1)
    ids, total = join_rows(prompt, lengths, output, output_lengths)
    position = torch.arange(ids.shape[1], device=ids.device)
    behind = position - lengths[:, None]  # (B, T_seq)
    frame_taken = slot[:-2] < frames
    conditions = lengths[:, None] - 1 + slot[:-2]
    return TrainingSequence(
        ids=ids,
        lengths=total,
        voice_mask=(behind < 0) & (ids == tokens.speech_diffusion),
        frame_mask=(behind >= 0) & (behind < frames),
        voice_taken=mask_voices(batch) & ~uncond_rows[:, None],
        frame_taken=frame_taken,
        condition_positions=conditions.masked_fill(~frame_taken, 0),
    )


def mask_voices(batch: MultispeakerBatch) -> Tensor:
    """Mark the real frames of the voices of a batch.

    Args:
        batch (MultispeakerBatch): The batch.

    Returns:
        Tensor: True for real frames, bool (B, T_voice); (B, 0) without voices.
    """
    if batch.voice_latents is None or batch.voice_lengths is None:
        size = (len(batch.prompt), 0)
        return torch.zeros(size, dtype=torch.bool, device=batch.prompt.device)
    frame = torch.arange(batch.voice_latents.shape[1], device=batch.prompt.device)
    return frame < batch.voice_lengths[:, None]


def validate_batch(
    batch: MultispeakerBatch, tokens: SpeechTokens, config: MultispeakerConfig
) -> None:
    """Check the shapes, lengths and token ids of a batch.

    Args:
        batch (MultispeakerBatch): The batch.
        tokens (SpeechTokens): Control tokens.
        config (MultispeakerConfig): Knows what fits.

    Raises:
        ValueError: If something does not fit.
    """
    _validate_shapes(batch, config)
    for name, lengths in (
        ("prompt_lengths", batch.prompt_lengths),
        ("latents_lengths", batch.latents_lengths),
    ):
        empty = (lengths < 1).nonzero().flatten().tolist()
        if empty:
            raise ValueError(
                f"{name}: rows {empty[:10]} of the batch are empty, wanted at least 1. "
                "Filter the utterances again (stage 3)."
            )
    longest = int((batch.prompt_lengths + batch.latents_lengths).max()) + 2
    if longest > config.max_positions:
        raise ValueError(
            f"a row of the batch has {longest} positions, the base was made for "
            f"{config.max_positions}. Drop longer utterances (stage 3), or give "
            "shorter voices."
        )
    _validate_prompts(batch, tokens, config.language_model.vocab_size)


def _validate_shapes(batch: MultispeakerBatch, config: MultispeakerConfig) -> None:
    """Refuse tensors of other shapes."""
    rows, dims = len(batch.prompt), (config.latent_dim, config.semantic_dim)
    frames = batch.latents.shape[1]
    wanted = {
        "prompt_lengths": (batch.prompt_lengths, (rows,)),
        "latents": (batch.latents, (rows, frames, dims[0])),
        "semantic": (batch.semantic, (rows, frames, dims[1])),
        "latents_lengths": (batch.latents_lengths, (rows,)),
    }
    if batch.voice_latents is not None:
        frames = batch.voice_latents.shape[1]
        wanted["voice_latents"] = (batch.voice_latents, (rows, frames, dims[0]))
        wanted["voice_lengths"] = (batch.voice_lengths, (rows,))
    if batch.voice_semantic is not None:
        wanted["voice_semantic"] = (batch.voice_semantic, (rows, frames, dims[1]))
    for name, (tensor, shape) in wanted.items():
        got = None if tensor is None else tuple(tensor.shape)
        if got != shape:
            raise ValueError(
                f"{name} of the batch: got shape {got}, wanted {shape}. Dump the "
                "features with this base."
            )


def _validate_prompts(
    batch: MultispeakerBatch, tokens: SpeechTokens, vocab_size: int
) -> None:
    """Refuse prompts with strange ids, and those that do not fit their voices."""
    position = torch.arange(batch.prompt.shape[1], device=batch.prompt.device)
    is_real = position < batch.prompt_lengths[:, None]
    real = batch.prompt[is_real]
    if bool(((real < 0) | (real >= vocab_size)).any()):
        raise ValueError(
            f"token ids {int(real.min())} to {int(real.max())}: the base has 0 to "
            f"{vocab_size - 1}. Use the tokenizer of this base."
        )
    marked = (is_real & (batch.prompt == tokens.speech_diffusion)).sum(1)
    given = mask_voices(batch).sum(1)
    wrong = (marked != given).nonzero().flatten().tolist()
    if wrong:
        row = wrong[0]
        raise ValueError(
            f"row {row} of the batch: its prompt marks {int(marked[row])} frames of "
            f"voices, but {int(given[row])} are given. Lay the prompt out with the "
            "lengths of the voices' latents."
        )
    last = batch.prompt.gather(1, batch.prompt_lengths[:, None] - 1)[:, 0]
    wrong = (last != tokens.speech_start).nonzero().flatten().tolist()
    if wrong:
        raise ValueError(
            f"rows {wrong[:10]} of the batch: the prompt does not end in the token "
            f"that opens speech ({tokens.speech_start}). Use build_prompt_ids."
        )
