"""What a training step gets: texts, latents, voice prompts and random draws.

What is drawn for a row comes from a seed of its own, not from its place in the batch:
neither neighbours nor the number of processes change it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.models.sequence import (
    SPEECH_TYPE,
    SequenceLayout,
    build_layout,
    join_rows,
)

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel


@dataclass(frozen=True)
class PromptBatch:
    """Voice prompts of a right-padded batch; a row of length 0 has none.

    Args:
        text (Tensor): Token ids of the transcripts, int64 (B, T_text). A prompt may
            lack its transcript: length 0.
        text_lengths (Tensor): int64 (B,).
        latents (Tensor): Unscaled latents (B, T_lat, D).
        latents_lengths (Tensor): int64 (B,).
    """

    text: Tensor
    text_lengths: Tensor
    latents: Tensor
    latents_lengths: Tensor

    @classmethod
    def make_empty(cls, text: Tensor, latents: Tensor) -> "PromptBatch":
        """Make the prompts of a batch (B, T_text), (B, T_lat, D) without any."""
        none = torch.zeros(len(text), dtype=torch.long, device=text.device)
        return cls(text[:, :0], none, latents[:, :0], none)

    def drop(self, rows: Tensor) -> "PromptBatch":
        """Take the prompts of some rows away.

        Args:
            rows (Tensor): True where to drop, bool (B,).
        """
        return PromptBatch(
            self.text,
            self.text_lengths.masked_fill(rows, 0),
            self.latents,
            self.latents_lengths.masked_fill(rows, 0),
        )


@dataclass(frozen=True)
class SequenceBatch:
    """A batch whose prompts are joined to their rows.

    Args:
        text (Tensor): Token ids of transcript and text, 0 in padding (B, T_text).
        latents (Tensor): Unscaled latents of prompt and target, 0 in padding
            (B, T_lat, D), float32.
        layout (SequenceLayout): Order of the positions.
    """

    text: Tensor
    latents: Tensor
    layout: SequenceLayout


def build_sequences(
    text: Tensor,
    text_lengths: Tensor,
    latents: Tensor,
    latents_lengths: Tensor,
    *,
    text_window: int,
    speech_window: int,
    prompts: PromptBatch | None = None,
    prompt_text_type: int = SPEECH_TYPE,
) -> SequenceBatch:
    """Join prompts, texts and latents and lay them out.

    Args:
        text (Tensor): Token ids, int64 (B, T_text).
        text_lengths (Tensor): int64 (B,).
        latents (Tensor): Unscaled latents (B, T_lat, D).
        latents_lengths (Tensor): int64 (B,).
        text_window (int): Tokens per window.
        speech_window (int): Frames per window.
        prompts (PromptBatch | None): Voice prompts.
        prompt_text_type (int): Type of the transcripts.

    Returns:
        SequenceBatch: What `RealtimeModel.run_sequence` takes, but for the scale.

    Raises:
        ValueError: If a window or a length is below 1, or the type is unknown.
    """
    prompts = PromptBatch.make_empty(text, latents) if prompts is None else prompts
    joined_text, _ = join_rows(prompts.text, prompts.text_lengths, text, text_lengths)
    joined_latents, _ = join_rows(
        prompts.latents.to(latents), prompts.latents_lengths, latents, latents_lengths
    )
    layout = build_layout(
        text_lengths,
        latents_lengths,
        text_window,
        speech_window,
        prompt_text_lengths=prompts.text_lengths,
        prompt_latents_lengths=prompts.latents_lengths,
        prompt_text_type=prompt_text_type,
        max_text=joined_text.shape[1],
        max_frames=joined_latents.shape[1],
    )
    return SequenceBatch(joined_text, joined_latents.float(), layout)


def derive_seed(*parts: str | int) -> int:
    """Make a seed from what it belongs to, the same in every process and run.

    Args:
        parts (str | int): For instance an utterance id and a number; none has spaces.

    Returns:
        int: Seed in [0, 2**63).
    """
    name = " ".join(str(part) for part in parts)
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_rows(utt_ids: Sequence[str], seed: int, step: int) -> Tensor:
    """Give each utterance of a batch the seed of what is drawn for it.

    Args:
        utt_ids (Sequence[str]): Utterance of each row.
        seed (int): Seed of the epoch.
        step (int): Number of the training step within it.

    Returns:
        Tensor: Seeds, int64 (B,).
    """
    return torch.tensor([derive_seed(utt_id, seed, step) for utt_id in utt_ids])


def start_generators(
    num_rows: int,
    row_seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> list[torch.Generator]:
    """Start a source of randomness on the CPU for each row.

    Args:
        num_rows (int): Rows of the batch, B.
        row_seeds (Tensor | None): Seed of each row, int64 (B,); drawn if None.
        generator (torch.Generator | None): Where seeds are drawn; default global.

    Returns:
        list[torch.Generator]: B generators.

    Raises:
        ValueError: If there are more or fewer seeds.
    """
    if row_seeds is None:
        device = "cpu" if generator is None else generator.device
        size = (num_rows,)
        row_seeds = torch.randint(2**63 - 1, size, generator=generator, device=device)
    if row_seeds.shape != (num_rows,):
        raise ValueError(
            f"row_seeds {tuple(row_seeds.shape)}: wanted ({num_rows},), one of each row"
        )
    return [torch.Generator().manual_seed(seed) for seed in row_seeds.tolist()]


def draw_rows(generators: Sequence[torch.Generator], rate: float) -> Tensor:
    """Choose the rows that run the negative prompt.

    Args:
        generators (Sequence[torch.Generator]): Source of each row, B.
        rate (float): Chance of each row.

    Returns:
        Tensor: True for chosen rows, bool (B,).
    """
    return torch.cat([torch.rand(1, generator=source) for source in generators]) < rate


def replace_text(
    model: "RealtimeModel", text: Tensor, text_lengths: Tensor, uncond_rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Put the negative prompt in place of some rows' text.

    Args:
        model (RealtimeModel): Knows the negative prompt.
        text (Tensor): Token ids (B, T_text).
        text_lengths (Tensor): Tokens of each row (B,).
        uncond_rows (Tensor): True where to replace, bool (B,).

    Returns:
        tuple[Tensor, Tensor]: New ids (B, T_text) and lengths (B,).
    """
    if not bool(uncond_rows.any()):
        return text, text_lengths
    negative = torch.zeros_like(text)
    negative[:, 0] = model.get_negative_prompt_id()
    return (
        torch.where(uncond_rows[:, None], negative, text),
        torch.where(uncond_rows, 1, text_lengths),
    )


def validate_batch(
    model: "RealtimeModel",
    text: Tensor,
    text_lengths: Tensor,
    latents: Tensor,
    latents_lengths: Tensor,
    name: str = "",
) -> None:
    """Check the shapes and token ids of a batch or of its prompts.

    Args:
        model (RealtimeModel): Knows what fits.
        text (Tensor): Token ids (B, T_text).
        text_lengths (Tensor): (B,).
        latents (Tensor): Latents (B, T_lat, D).
        latents_lengths (Tensor): (B,).
        name (str): Put before the names in messages.

    Raises:
        ValueError: If a shape or token id does not fit.
    """
    dim = model.config.latent_dim
    if text.dim() != 2 or latents.dim() != 3 or latents.shape[2] != dim:
        raise ValueError(
            f"{name}text {tuple(text.shape)} and {name}latents "
            f"{tuple(latents.shape)}: wanted (B, T_text) and (B, T_lat, {dim}). Dump "
            "the features with this base."
        )
    sizes = {len(text), len(text_lengths), len(latents), len(latents_lengths)}
    if len(sizes) > 1:
        raise ValueError(
            f"{name}text {len(text)}, {name}text_lengths {len(text_lengths)}, {name}"
            f"latents {len(latents)}, {name}latents_lengths {len(latents_lengths)} "
            "rows: wanted the same number. Check the batch."
        )
    token = torch.arange(text.shape[1], device=text.device)
    real = text[token < text_lengths[:, None]]
    vocab_size = model.config.language_model.vocab_size
    if bool(((real < 0) | (real >= vocab_size)).any()):
        raise ValueError(
            f"{name}token ids {int(real.min())} to {int(real.max())}: the base has 0 "
            f"to {vocab_size - 1}. Use the tokenizer of this base."
        )


def validate_prompts(
    model: "RealtimeModel", prompts: PromptBatch, num_rows: int
) -> None:
    """Check the prompts of a batch.

    Args:
        model (RealtimeModel): Knows what fits.
        prompts (PromptBatch): The prompts.
        num_rows (int): Rows of the batch they belong to.

    Raises:
        ValueError: If a shape, token id or number of rows does not fit, or a
            transcript has no frames.
    """
    validate_batch(
        model,
        prompts.text,
        prompts.text_lengths,
        prompts.latents,
        prompts.latents_lengths,
        "prompt_",
    )
    if len(prompts.text) != num_rows:
        raise ValueError(
            f"prompts of {len(prompts.text)} rows, the batch has {num_rows}: give a "
            "prompt of length 0 to rows without one"
        )
    mute = (prompts.latents_lengths == 0) & (prompts.text_lengths > 0)
    if bool(mute.any()):
        raise ValueError(
            f"prompts of rows {mute.nonzero().flatten().tolist()[:10]} have a "
            "transcript but no frames: give both or none"
        )
