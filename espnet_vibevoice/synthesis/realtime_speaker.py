"""The realtime family at a command: a text, or a script spoken turn by turn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_vibevoice.models.generation import GenerationSettings, generate_batch
from espnet_vibevoice.models.multispeaker_script import parse_script
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.streaming import stream
from espnet_vibevoice.models.voice_prompt import VoicePrompt
from espnet_vibevoice.synthesis.speaker import Speaker
from espnet_vibevoice.synthesis.texts import read_aloud
from espnet_vibevoice.text.cleaners import Cleaner, keep_text
from espnet_vibevoice.text.tokenizer import TextTokenizer


@dataclass(frozen=True)
class SpokenTurn:
    """One text in one voice.

    Args:
        ids (Tensor): Token ids, int64 (T_text,).
        voice (VoicePrompt | None): The voice.
    """

    ids: Tensor
    voice: VoicePrompt | None


class RealtimeSpeaker(Speaker[SpokenTurn]):
    """A realtime model, ready to speak.

    Args:
        model (RealtimeModel): The model.
        tokenizer (TextTokenizer): Tokenizer of its base.
        settings (GenerationSettings): How it speaks.
        voices (Mapping[int, VoicePrompt]): Voice of each speaker, read by the model.
        clean (Cleaner): What reads texts.
    """

    def __init__(
        self,
        model: RealtimeModel,
        tokenizer: TextTokenizer,
        settings: GenerationSettings,
        voices: Mapping[int, VoicePrompt],
        clean: Cleaner = keep_text,
    ):
        self.sampling_rate = model.acoustic_tokenizer.sampling_rate
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self._voices = voices
        self._clean = clean

    def prepare(self, text: str) -> list[SpokenTurn]:
        """Make a piece of each turn; see `Speaker.prepare`."""
        script = parse_script(read_aloud(text, self._clean))
        return [
            SpokenTurn(
                torch.tensor(self._tokenizer.encode(line)),
                self._pick_voice(speaker),
            )
            for speaker, line in zip(script.speakers, script.lines, strict=True)
        ]

    def speak(self, pieces: Sequence[SpokenTurn], seeds: Sequence[int]) -> list[Tensor]:
        """Speak side by side; see `Speaker.speak`."""
        results = generate_batch(
            self._model,
            [piece.ids for piece in pieces],
            self._settings,
            seeds,
            [piece.voice for piece in pieces],
        )
        return [result.waveform for result in results]

    def stream(self, piece: SpokenTurn, seed: int) -> Iterator[Tensor]:
        """Hand out each frame; see `Speaker.stream`."""
        generator = torch.Generator().manual_seed(seed)
        chunks = stream(
            self._model, piece.ids, self._settings, generator, prompt=piece.voice
        )
        for chunk in chunks:
            yield chunk.waveform

    def _pick_voice(self, speaker: int) -> VoicePrompt | None:
        """Find the voice of a speaker; a single voice serves all."""
        if len(self._voices) == 1:
            return next(iter(self._voices.values()))
        if self._voices and speaker not in self._voices:
            raise ValueError(
                f"speaker {speaker}, counted from 0, has no voice while others have: "
                "give one --voice for all, or SPEAKER=FILE for each."
            )
        return self._voices.get(speaker)
