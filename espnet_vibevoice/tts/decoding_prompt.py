"""What the multi-speaker family speaks from, out of ids as ESPnet hands them on."""

from collections.abc import Mapping, Sequence

import torch

from espnet_vibevoice.models.multispeaker_draws import find_voice_segments
from espnet_vibevoice.models.multispeaker_generation import ScriptPrompt
from espnet_vibevoice.models.multispeaker_script import PromptLayout, find_speech_tokens
from espnet_vibevoice.tts.script_tokenizer import ScriptTokenizer


def make_prompt(
    tokenizer: ScriptTokenizer, text: torch.Tensor, voices: Sequence[torch.Tensor]
) -> ScriptPrompt:
    """Put voices into the ids of a script.

    Args:
        tokenizer (ScriptTokenizer): Tokenizer of the base.
        text (Tensor): Ids of the prompt without voices (T_text,).
        voices (Sequence[Tensor]): Latents of each speaker's voice, not scaled
            (T_lat, D_ac); those of speakers that the script lacks are left out. None
            at all: the model finds its own.

    Raises:
        ValueError: If a speaker has no voice while others have, or a voice no frame.
    """
    ids = text.tolist()
    if voices:
        voices = voices[: tokenizer.count_speakers(ids)]
        ids = tokenizer.add_voices(ids, [len(voice) for voice in voices])
    return _join(tokenizer, torch.tensor(ids), voices)


def take_prompt(
    tokenizer: ScriptTokenizer, row: Mapping[str, torch.Tensor]
) -> ScriptPrompt:
    """Take the prompt of a training or validation row with its own voices.

    Args:
        tokenizer (ScriptTokenizer): Tokenizer of the base.
        row (Mapping): ``text``, ids of the prompt with frames of voices (T_text,), and
            with voices ``prompt_feats``, their latents one behind the other
            (T_voice, D_ac).
    """
    text = row["text"].cpu()
    lengths = find_voice_segments(text, find_speech_tokens(tokenizer))
    voices = row["prompt_feats"].split(lengths) if lengths else ()
    return _join(tokenizer, text, voices)


def _join(
    tokenizer: ScriptTokenizer, ids: torch.Tensor, voices: Sequence[torch.Tensor]
) -> ScriptPrompt:
    """Describe a whole prompt (T_text,) as generation wants it."""
    is_voice = ids == find_speech_tokens(tokenizer).speech_diffusion
    count = tokenizer.count_script_tokens(ids.tolist())
    return ScriptPrompt(PromptLayout(ids, is_voice), tuple(voices), count)
