"""The multi-speaker family at a command: a whole script in one go."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from espnet_vibevoice.models.generation_settings import ScriptSettings
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_generation import generate_scripts
from espnet_vibevoice.models.multispeaker_script import parse_script
from espnet_vibevoice.models.multispeaker_streaming import stream_script
from espnet_vibevoice.models.script_prompt import ScriptPrompt, prepare_script
from espnet_vibevoice.synthesis.script_checks import list_voices
from espnet_vibevoice.synthesis.speaker import Speaker
from espnet_vibevoice.synthesis.texts import read_aloud
from espnet_vibevoice.text.cleaners import Cleaner, keep_text
from espnet_vibevoice.text.tokenizer import TextTokenizer


class ScriptSpeaker(Speaker[ScriptPrompt]):
    """A multi-speaker model, ready to speak.

    Args:
        model (MultispeakerModel): The model.
        tokenizer (TextTokenizer): Tokenizer of its base.
        settings (ScriptSettings): How it speaks.
        voices (Mapping[int, Tensor]): Unscaled latents of each speaker's voice (S, D).
        clean (Cleaner): What reads texts.
    """

    def __init__(
        self,
        model: MultispeakerModel,
        tokenizer: TextTokenizer,
        settings: ScriptSettings,
        voices: Mapping[int, Tensor],
        clean: Cleaner = keep_text,
    ):
        self.sampling_rate = model.acoustic_tokenizer.sampling_rate
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self._voices = voices
        self._clean = clean

    def prepare(self, text: str) -> list[ScriptPrompt]:
        """Make one piece of the whole script; see `Speaker.prepare`.

        Voices of speakers that the script lacks are left out.
        """
        script = parse_script(read_aloud(text, self._clean))
        wanted = list_voices(script, self._voices.keys())
        voices = [self._voices[speaker] for speaker in wanted]
        return [prepare_script(self._model, self._tokenizer, script, voices)]

    def speak(
        self, pieces: Sequence[ScriptPrompt], seeds: Sequence[int]
    ) -> list[Tensor]:
        """Speak side by side; see `Speaker.speak`."""
        results = generate_scripts(self._model, pieces, self._settings, seeds)
        return [result.waveform for result in results]

    def stream(self, piece: ScriptPrompt, seed: int) -> Iterator[Tensor]:
        """Hand out each frame; see `Speaker.stream`."""
        generator = torch.Generator().manual_seed(seed)
        chunks = stream_script(self._model, piece, self._settings, generator)
        for chunk in chunks:
            yield chunk.waveform
