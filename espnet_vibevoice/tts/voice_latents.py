"""Voices of the multi-speaker family for decoding: recordings to latents, once each."""

from collections.abc import Sequence
from pathlib import Path

import torch

from espnet_vibevoice.data.voice_file import load_prompt_audio
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.script_voice import encode_voice

VoiceFile = str | Path | torch.Tensor


class VoiceLatents:
    """Encodes the voices of one model and keeps them.

    They come from the frozen codec alone, so training changes none of them.
    """

    def __init__(self):
        self._read: dict[str, torch.Tensor] = {}

    def read(
        self,
        model: MultispeakerModel,
        voices: VoiceFile | Sequence[VoiceFile] | None,
    ) -> list[torch.Tensor]:
        """Bring voices to latents.

        Args:
            model (MultispeakerModel): The model that is to speak.
            voices (str | Path | Tensor | Sequence | None): Recordings or latents, not
                scaled (T_lat, D_ac); one, or one for each speaker.

        Returns:
            list[Tensor]: Latents of each voice (T_lat, D_ac); empty for None.

        Raises:
            RuntimeError: If the base has no acoustic encoder.
            ValueError: If a recording is absent, unreadable, silent, too short or too
                long.
        """
        if voices is None:
            return []
        listed = [voices] if isinstance(voices, VoiceFile) else list(voices)
        return [self._find(model, voice) for voice in listed]

    def _find(self, model: MultispeakerModel, voice: VoiceFile) -> torch.Tensor:
        """Return the latents of one voice (T_lat, D_ac)."""
        if isinstance(voice, torch.Tensor):
            return voice
        path = str(voice)
        if path not in self._read:
            codec = model.acoustic_tokenizer
            try:
                recording = load_prompt_audio(path, codec.sampling_rate)
                latents = encode_voice(codec, recording)
            except ValueError as err:
                raise ValueError(f"voice_prompt {path}: {err}") from err
            self._read[path] = latents
        return self._read[path]
