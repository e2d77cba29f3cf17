"""Speak texts: one, or a batch whose rows sound as if each were alone.

Each utterance has its own noise, so its audio depends on its text, prompt and seed and
not on its neighbours. The loop itself is in `frame_loop`, speech that is heard while
it is being made in `streaming`.
"""

import functools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.models.branch import Branch, start_batch, start_branches
from espnet_vibevoice.models.frame_loop import (
    Frame,
    FrameStep,
    Utterance,
    run_frame_loop,
)
from espnet_vibevoice.models.generation_settings import GenerationSettings
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.text_windows import TextWindows

if TYPE_CHECKING:
    from espnet_vibevoice.models.voice_prompt import VoicePrompt

__all__ = [
    "Branch",
    "FrameStep",
    "GenerationResult",
    "GenerationSettings",
    "generate",
    "generate_batch",
    "generate_frames",
    "start_branches",
]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GenerationResult:
    """One generated utterance.

    Args:
        latents (Tensor): Unscaled latents (T_lat, D).
        waveform (Tensor): Waveform (T_wav,), T_wav = T_lat * hop_samples.
        eos_probability (Tensor): Probability of the end at each frame (T_lat,).
        stopped_by_eos (bool): False if a limit ended it: the speech may be cut.
        tokens_read (int): Text tokens that were read before the end.
    """

    latents: Tensor
    waveform: Tensor
    eos_probability: Tensor
    stopped_by_eos: bool
    tokens_read: int


@dataclass
class _Recording:
    """Frames of one utterance so far."""

    latents: list[Tensor] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    is_end: bool = False

    def add(self, frame: Frame) -> None:
        """Append a frame."""
        self.latents.append(frame.step.latent)
        self.probabilities.append(frame.eos_probability)
        self.is_end = frame.is_end

    def finish(self, model: RealtimeModel, tokens_read: int) -> GenerationResult:
        """Decode what was recorded."""
        latents = model.unscale_latents(torch.stack(self.latents))
        return GenerationResult(
            latents=latents,
            waveform=model.acoustic_tokenizer.decode(latents),
            eos_probability=torch.tensor(self.probabilities, device=latents.device),
            stopped_by_eos=self.is_end,
            tokens_read=tokens_read,
        )


def generate_frames(
    model: RealtimeModel,
    text_ids: Tensor,
    settings: GenerationSettings,
    generator: torch.Generator | None = None,
    *,
    noise: Tensor | None = None,
    branches: tuple[Branch, Branch] | None = None,
) -> Iterator[FrameStep]:
    """Make frame after frame, without an end: the caller decides when to stop.

    Args:
        model (RealtimeModel): The model.
        text_ids (Tensor): Token ids, int64 (T_text,).
        settings (GenerationSettings): Windows, guidance and steps.
        generator (torch.Generator | None): Source of the noise; default global.
        noise (Tensor | None): Noise of the frames to make (T_max, D), in place of
            drawing; the iterator ends after T_max frames.
        branches (tuple[Branch, Branch] | None): Branches that have read a voice
            prompt; they are changed.

    Yields:
        FrameStep: The next frame.

    Raises:
        RuntimeError: If a latent is not finite.
        ValueError: If there is no text or a token is unknown.
    """
    utterance = make_utterance(model, [text_ids], settings, generator, noise)
    branches = start_branches(model) if branches is None else branches
    loop = run_frame_loop(model, [utterance], settings, branches, is_endless=True)
    for frames in loop:
        yield frames[0].step


def generate(
    model: RealtimeModel,
    text_ids: Tensor,
    settings: GenerationSettings,
    generator: torch.Generator | None = None,
    *,
    noise: Tensor | None = None,
    branches: tuple[Branch, Branch] | None = None,
) -> GenerationResult:
    """Speak one text; the frame that ends speech is kept.

    Args:
        model (RealtimeModel): The model.
        text_ids (Tensor): Token ids, int64 (T_text,).
        settings (GenerationSettings): All settings.
        generator (torch.Generator | None): Source of the noise; default global.
        noise (Tensor | None): See `generate_frames`.
        branches (tuple[Branch, Branch] | None): See `generate_frames`.

    Returns:
        GenerationResult: Latents and audio. A warning is logged if a limit cut it.

    Raises:
        RuntimeError: If a latent is not finite.
        ValueError: If there is no text or a token is unknown.
    """
    utterance = make_utterance(model, [text_ids], settings, generator, noise)
    branches = start_branches(model) if branches is None else branches
    return _run(model, [utterance], settings, branches)[0]


def generate_batch(
    model: RealtimeModel,
    texts: Sequence[Tensor],
    settings: GenerationSettings,
    seeds: Sequence[int] | None = None,
    prompts: "Sequence[VoicePrompt | None] | None" = None,
) -> list[GenerationResult]:
    """Speak several texts side by side.

    Row i equals ``generate`` with ``torch.Generator().manual_seed(seeds[i])`` and the
    branches of ``prompts[i]``, up to rounding.

    Args:
        model (RealtimeModel): The model.
        texts (Sequence[Tensor]): Token ids of each text, int64 (T_text,) each.
        settings (GenerationSettings): All settings.
        seeds (Sequence[int] | None): Seed of each text; default drawn from the global
            generator.
        prompts (Sequence[VoicePrompt | None] | None): Voice of each text; default
            none.

    Returns:
        list[GenerationResult]: One for each text. A warning is logged for each one
            that a limit cut.

    Raises:
        RuntimeError: If a latent is not finite.
        ValueError: If the numbers of texts, seeds and prompts differ, a text is empty
            or a token is unknown.
    """
    if not texts:
        return []
    if seeds is None:
        seeds = torch.randint(2**62, (len(texts),)).tolist()
    prompts = [None] * len(texts) if prompts is None else prompts
    if not len(texts) == len(seeds) == len(prompts):
        raise ValueError(
            f"got {len(texts)} texts, {len(seeds)} seeds and {len(prompts)} prompts: "
            "give one seed and one prompt (or None) for each text."
        )
    utterances = [
        make_utterance(model, [ids], settings, torch.Generator().manual_seed(seed))
        for ids, seed in zip(texts, seeds, strict=True)
    ]
    return _run(model, utterances, settings, start_batch(model, prompts))


def make_utterance(
    model: RealtimeModel,
    parts: Sequence[Tensor] | Iterator[Tensor],
    settings: GenerationSettings,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
) -> Utterance:
    """Bring a text and its noise together.

    Args:
        model (RealtimeModel): The model.
        parts (Sequence[Tensor] | Iterator[Tensor]): Token ids in parts, each (T,).
        settings (GenerationSettings): Windows.
        generator (torch.Generator | None): Source of the noise; default global.
        noise (Tensor | None): Noise of the frames (T_max, D), in place of drawing.

    Raises:
        ValueError: If the noise has another shape or no frame.
    """
    dim = model.config.latent_dim
    vocab_size = model.config.language_model.vocab_size
    text = TextWindows(parts, settings.text_window, vocab_size)
    if noise is None:
        return Utterance(text, functools.partial(_draw_noise, dim, generator))
    if noise.dim() != 2 or noise.shape[1] != dim or len(noise) == 0:
        raise ValueError(
            f"noise: got shape {tuple(noise.shape)}, wanted (T_max, {dim}) with at "
            "least one frame."
        )
    return Utterance(text, functools.partial(_pick_noise, noise))


def warn_if_cut(frame: Frame, utterance: Utterance) -> None:
    """Log a warning if a limit ended an utterance.

    Args:
        frame (Frame): Its last frame.
        utterance (Utterance): The utterance.
    """
    if frame.limit:
        logger.warning(
            "speech did not end by itself: cut after %d frames by %s; %d of %d text "
            "tokens were read. Split the text, or raise the limit",
            utterance.num_frames,
            frame.limit,
            utterance.text.num_read,
            utterance.text.num_seen,
        )


def _pick_noise(noise: Tensor, index: int) -> Tensor | None:
    """Pick the noise of one frame from (T_max, D); None behind the last."""
    return noise[index] if index < len(noise) else None


def _draw_noise(dim: int, generator: torch.Generator | None, index: int) -> Tensor:
    """Draw the noise of one frame (D,); ``index`` is for `_pick_noise` alone."""
    device = generator.device if generator is not None else "cpu"
    return torch.randn(dim, generator=generator, device=device)


def _run(
    model: RealtimeModel,
    utterances: list[Utterance],
    settings: GenerationSettings,
    branches: tuple[Branch, Branch],
) -> list[GenerationResult]:
    """Run the loop to its end and decode each utterance."""
    recordings = [_Recording() for _ in utterances]
    for frames in run_frame_loop(model, utterances, settings, branches):
        for frame in frames:
            recordings[frame.row].add(frame)
            warn_if_cut(frame, utterances[frame.row])
    return [
        recording.finish(model, utterance.text.num_read)
        for recording, utterance in zip(recordings, utterances, strict=True)
    ]
