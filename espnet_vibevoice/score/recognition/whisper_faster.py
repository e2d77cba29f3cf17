"""Whisper through faster-whisper (CTranslate2)."""

from types import ModuleType

import numpy as np

from espnet_vibevoice.score.model_specs import RecognizerSpec
from espnet_vibevoice.score.recognition import whisper
from espnet_vibevoice.score.recognition.recognizer import RecognizerUnavailable


class FasterWhisper:
    """A model in CTranslate2's form.

    Args:
        spec (RecognizerSpec): Names the model: size, name on the hub or folder.
        device (str): cpu | cuda | cuda:N.
        beam_size (int): Hypotheses kept in the search.
        library (ModuleType): ``faster_whisper``.

    Raises:
        RecognizerUnavailable: The model does not load or knows English only.
    """

    def __init__(
        self, spec: RecognizerSpec, device: str, beam_size: int, library: ModuleType
    ):
        kind, _, index = device.partition(":")
        try:
            self._model = library.WhisperModel(
                whisper.name_size(spec.identity),
                device=kind,
                device_index=int(index or 0),
                compute_type="float16" if kind == "cuda" else "float32",
            )
        except (OSError, RuntimeError, ValueError) as err:
            reason = f"it does not load: {type(err).__name__}: {err}"
            raise RecognizerUnavailable(spec.name, spec.identity, reason) from err
        if not self._model.model.is_multilingual:
            reason = "it knows English only: give a multilingual one"
            raise RecognizerUnavailable(spec.name, spec.identity, reason)
        self._beam_size = beam_size

    def transcribe(self, waveform: np.ndarray) -> str:
        """Write down at most 30 s; see :class:`whisper.Transcriber`."""
        segments, _ = self._model.transcribe(
            waveform,
            language=whisper.LANGUAGE,
            task=whisper.TASK,
            beam_size=self._beam_size,
            temperature=0.0,  # more would draw at random
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)
