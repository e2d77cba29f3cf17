"""Voice prompts as one speaking model uses them.

Training changes the weights that a prompt's caches come from, so a prompt is read by
the model that speaks, once, and again after its weights have changed.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.voice_prompt import (
    VoicePrompt,
    build_voice_prompt,
    load_voice_prompt,
)

logger = logging.getLogger(__name__)

# Parts whose weights the caches of a prompt depend on.
READING_PARTS = (
    "language_model",
    "tts_language_model",
    "tts_input_types",
    "acoustic_connector",
)


class VoiceReader:
    """Gives the voice prompts of one model and keeps the latest.

    Args:
        trained_parts (Sequence[str]): Parts of the model that are trained.
    """

    def __init__(self, trained_parts: Sequence[str]):
        self._tuned = [part for part in READING_PARTS if part in trained_parts]
        self._has_warned = False
        self.forget()

    def forget(self) -> None:
        """Forget what was read: the weights may change."""
        self._voice: str | VoicePrompt | None = None
        self._prompt: VoicePrompt | None = None

    def read(
        self, model: RealtimeModel, voice: str | Path | VoicePrompt | None
    ) -> VoicePrompt | None:
        """Let the model read a voice, once however many texts it speaks.

        Args:
            model (RealtimeModel): The model that is to speak.
            voice (str | Path | VoicePrompt | None): File or prompt; None: no voice.

        Returns:
            VoicePrompt | None: The prompt, with caches of the model's own weights if
                it has a source. Without one the caches are as they were stored; a
                model with other weights logs that once.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or of another base.
        """
        if voice is None:
            return None
        if not isinstance(voice, VoicePrompt):
            voice = str(voice)
        is_latest = voice is self._voice
        if isinstance(voice, str):
            is_latest = voice == self._voice
        if not is_latest:
            stored = load_voice_prompt(voice) if isinstance(voice, str) else voice
            self._prompt = stored.read_by(model)
            self._voice = voice
            self._warn_of_stored_caches(stored, voice)
        return self._prompt

    def _warn_of_stored_caches(
        self, stored: VoicePrompt, voice: str | VoicePrompt
    ) -> None:
        """Log once that caches are not those of the trained weights."""
        if stored.source is not None or not self._tuned or self._has_warned:
            return
        self._has_warned = True
        logger.warning(
            "%s: a preset without its recording; its caches come from the released "
            "weights, while %s of this model are trained. The voice may be less true; "
            "make a prompt from a recording with bin/make_voice_prompt.",
            voice if isinstance(voice, str) else "voice prompt",
            ", ".join(self._tuned),
        )


def read_row_voice(
    model: RealtimeModel, row: Mapping[str, torch.Tensor], text_type: int
) -> VoicePrompt | None:
    """Read the voice prompt of a training or validation row.

    Args:
        model (RealtimeModel): The model that is to speak.
        row (Mapping): What a batch holds of the row, on the model's device.
        text_type (int): Type of the transcript, as in training.

    Returns:
        VoicePrompt | None: The prompt; None if the row has none with a transcript.
    """
    latents, transcript = row.get("prompt_feats"), row.get("prompt_text")
    if latents is None or transcript is None or 0 in (len(latents), len(transcript)):
        return None
    return build_voice_prompt(model, latents, transcript, text_type)
