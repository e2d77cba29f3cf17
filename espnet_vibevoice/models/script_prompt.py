"""What the multi-speaker model reads before it speaks, checked and embedded."""

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_vibevoice.models.generation_settings import ScriptSettings
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import SpeechTokens
from espnet_vibevoice.models.multispeaker_script import (
    MultispeakerScript,
    PromptLayout,
    build_prompt_ids,
    parse_script,
)
from espnet_vibevoice.models.script_row import ScriptRow
from espnet_vibevoice.text.tokenizer import TextTokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScriptPrompt:
    """What the model reads before it speaks.

    Args:
        layout (PromptLayout): Ids, and where the voices' frames stand.
        voices (tuple[Tensor, ...]): Unscaled latents of each speaker's voice (S, D).
        num_text_tokens (int): Tokens of the script's lines; the cap counts by them.
    """

    layout: PromptLayout
    voices: tuple[Tensor, ...]
    num_text_tokens: int

    @classmethod
    def from_ids(
        cls, ids: Tensor, voices: Sequence[Tensor], tokens: SpeechTokens
    ) -> "ScriptPrompt":
        """Take a prompt that was laid out before.

        Args:
            ids (Tensor): Its token ids, int64 (T,), see `build_prompt_ids`.
            voices (Sequence[Tensor]): Unscaled latents of the voices (S, D).
            tokens (SpeechTokens): Control tokens.

        Returns:
            ScriptPrompt: The prompt; all that are no frames count as text.
        """
        voice_mask = ids == tokens.speech_diffusion
        count = len(ids) - int(voice_mask.sum())
        return cls(PromptLayout(ids, voice_mask), tuple(voices), count)


def prepare_script(
    model: MultispeakerModel,
    tokenizer: TextTokenizer,
    script: str | MultispeakerScript,
    voices: Sequence[Tensor] = (),
) -> ScriptPrompt:
    """Bring a script and its voices together.

    Args:
        model (MultispeakerModel): The model.
        tokenizer (TextTokenizer): Tokenizer of its base.
        script (str | MultispeakerScript): The script, see `parse_script`.
        voices (Sequence[Tensor]): Unscaled latents of each speaker's voice (S, D), in
            the order of their ids, see `script_voice.encode_voice`; none at all: the
            model finds voices of its own.

    Returns:
        ScriptPrompt: The prompt.

    Raises:
        ValueError: If the script is no script, a speaker lacks a voice, a voice has no
            frame or is of another base, or the prompt is longer than the base reads.
    """
    script = parse_script(script) if isinstance(script, str) else script
    check_turns(script)
    layout = build_prompt_ids(tokenizer, script, [len(voice) for voice in voices])
    count = sum(len(tokenizer.encode_part(line)) for line in script.lines)
    prompt = ScriptPrompt(layout, tuple(voices), count)
    check_prompt(model, prompt)
    length, known = len(layout.ids), model.config.max_positions
    if length + count > known:
        logger.warning(
            "voices and script take %d of the base's %d positions: the speech will "
            "probably be cut. Split the script",
            length,
            known,
        )
    return prompt


def check_turns(script: MultispeakerScript) -> None:
    """Raise ValueError if a turn of a script says nothing.

    Args:
        script (MultispeakerScript): The script.
    """
    for line in script.lines:
        if not TextTokenizer.is_speakable(line):
            raise ValueError(
                f"the turn {line!r} has neither letters nor digits: there is nothing "
                "to speak. Take it out of the script."
            )


def check_prompt(model: MultispeakerModel, prompt: ScriptPrompt) -> None:
    """Refuse a prompt that the model cannot speak from.

    Args:
        model (MultispeakerModel): The model.
        prompt (ScriptPrompt): The prompt.

    Raises:
        RuntimeError: If the base has no semantic encoder.
        ValueError: If ids or voices are of another base, or there is no room to speak.
    """
    if not model.semantic_tokenizer.has_encoder:
        raise RuntimeError(model.semantic_tokenizer.without_encoder)
    ids, voice_mask = prompt.layout.ids, prompt.layout.voice_mask
    dim = model.config.latent_dim
    for index, voice in enumerate(prompt.voices):
        if voice.dim() != 2 or voice.shape[1] != dim or not voice.isfinite().all():
            raise ValueError(
                f"the voice of speaker {index} has the shape {tuple(voice.shape)}, "
                f"wanted finite latents (S, {dim}). Encode it with this base."
            )
    given = sum(len(voice) for voice in prompt.voices)
    if int(voice_mask.sum()) != given:
        raise ValueError(
            f"the prompt marks {int(voice_mask.sum())} frames of voices, but {given} "
            "are given. Lay it out with the lengths of the voices' latents."
        )
    vocab_size = model.config.language_model.vocab_size
    if (
        ids.dim() != 1
        or len(ids) == 0
        or not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size
    ):
        raise ValueError(
            f"prompt ids: got shape {tuple(ids.shape)}, wanted (T,) with ids from 0 to "
            f"{vocab_size - 1}. Use the base's tokenizer."
        )
    check_room(len(ids), model.config.max_positions)


def check_room(length: int, known: int) -> None:
    """Raise ValueError if a prompt leaves no room to speak.

    Args:
        length (int): Positions that voices and script take.
        known (int): Positions that the base reads.
    """
    if length >= known:
        raise ValueError(
            f"voices and script take {length} of the base's {known} positions: no "
            "room to speak. Split the script, or take shorter voices."
        )


@torch.no_grad()
def make_row(
    model: MultispeakerModel,
    prompt: ScriptPrompt,
    settings: ScriptSettings,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
) -> ScriptRow:
    """Make the row of a batch that speaks a script.

    Args:
        model (MultispeakerModel): The model.
        prompt (ScriptPrompt): The prompt.
        settings (ScriptSettings): Caps.
        generator (torch.Generator | None): Source of the noise; default global.
        noise (Tensor | None): Noise of the frames (T_max, D), in place of drawing.

    Raises:
        RuntimeError: If the base has no semantic encoder.
        ValueError: If prompt or noise do not fit the model.
    """
    check_prompt(model, prompt)
    dim = model.config.latent_dim
    max_frames = settings.count_max_frames(prompt.num_text_tokens)
    cap = f"max_frames_per_token {settings.max_frames_per_token}"
    if max_frames == settings.max_frames:
        cap = f"max_frames {max_frames}"
    draw = functools.partial(_draw_noise, dim, generator)
    if noise is not None:
        if noise.dim() != 2 or noise.shape[1] != dim or len(noise) == 0:
            raise ValueError(
                f"noise: got shape {tuple(noise.shape)}, wanted (T_max, {dim}) with "
                "at least one frame."
            )
        draw = noise.__getitem__
        if len(noise) <= max_frames:
            max_frames, cap = len(noise), f"the {len(noise)} frames of noise"
    return ScriptRow(
        prompt=_embed_prompt(model, prompt),
        draw_noise=draw,
        max_frames=max_frames,
        cap=cap,
        max_positions=model.config.max_positions,
        max_control_tokens=settings.max_control_tokens,
    )


def _embed_prompt(model: MultispeakerModel, prompt: ScriptPrompt) -> Tensor:
    """Make the vectors of a prompt (T, H)."""
    device = model.language_model.embed_tokens.weight.device
    vectors = model.embed_text(prompt.layout.ids.to(device))
    if prompt.voices:
        latents = torch.cat([voice.to(device).float() for voice in prompt.voices])
        frames = model.embed_frames(model.scale_latents(latents))
        vectors[prompt.layout.voice_mask.to(device)] = frames.to(vectors.dtype)
    return vectors


def _draw_noise(dim: int, generator: torch.Generator | None, index: int) -> Tensor:
    """Draw the noise of one frame (D,); ``index`` is for recorded noise alone."""
    device = generator.device if generator is not None else "cpu"
    return torch.randn(dim, generator=generator, device=device)
