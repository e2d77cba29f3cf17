"""Whisper recognisers: faster-whisper where it is installed, else transformers.

The language is always Persian and the task transcription; left to itself, Whisper
takes synthetic Persian for Arabic or Urdu now and then. Decoding draws nothing, so
that the same audio gives the same text. Audio above 30 s is cut at pauses.
"""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from espnet_vibevoice.score.model_specs import RecognizerSpec
from espnet_vibevoice.score.recognition.recognizer import (
    RecognizerUnavailable,
    recognize_in_pieces,
)

LANGUAGE = "fa"
TASK = "transcribe"
FS = 16000
BACKENDS = ("auto", "faster", "transformers")
_DEFAULTS = {"beam_size": 5, "backend": "auto"}
_HUB_PREFIX = "openai/whisper-"
_INSTALL = "pip install faster-whisper"


class Transcriber(Protocol):
    """One of the two libraries with a model loaded."""

    def transcribe(self, waveform: np.ndarray) -> str:
        """Write down at most 30 s: (T_wav,) at 16 kHz."""
        ...


class WhisperRecognizer:
    """A Whisper model.

    Args:
        transcriber (Transcriber): The loaded model.
    """

    def __init__(self, transcriber: Transcriber):
        self._transcriber = transcriber

    def recognize(self, waveform: np.ndarray, fs: int) -> str:
        """Write down what is said; see :class:`Recognizer`."""
        return recognize_in_pieces(self._transcriber.transcribe, waveform, fs, FS)


def load_whisper(
    spec: RecognizerSpec, device: str, faster_whisper: ModuleType | None = None
) -> WhisperRecognizer:
    """Load a Whisper model.

    A folder decides the library by what it holds (``model.bin``: faster-whisper), and
    so does a name that only one of them knows; ``inference: {backend: ...}`` does
    otherwise.

    Args:
        spec (RecognizerSpec): Of kind whisper.
        device (str): cpu | cuda | cuda:N.
        faster_whisper (ModuleType | None): The library; None: imported if installed.

    Raises:
        RecognizerUnavailable: Model or library is not there, options are unknown, or
            the model knows English only.
    """
    beam_size, backend = _read_options(spec)
    if faster_whisper is None and importlib.util.find_spec("faster_whisper"):
        faster_whisper = importlib.import_module("faster_whisper")
    if backend == "auto":
        backend = _choose_backend(spec.identity, faster_whisper)
    if backend == "faster":
        if faster_whisper is None:
            raise RecognizerUnavailable(
                spec.name, spec.identity, f"faster-whisper is not installed: {_INSTALL}"
            )
        from espnet_vibevoice.score.recognition.whisper_faster import FasterWhisper

        return WhisperRecognizer(FasterWhisper(spec, device, beam_size, faster_whisper))
    from espnet_vibevoice.score.recognition.whisper_hf import TransformersWhisper

    return WhisperRecognizer(TransformersWhisper(spec, device, beam_size))


def name_size(model: str) -> str:
    """Give the size in a name on the hub: ``openai/whisper-tiny`` -> ``tiny``."""
    return model.removeprefix(_HUB_PREFIX)


def name_on_hub(model: str) -> str:
    """Give the name on the hub of a size: ``tiny`` -> ``openai/whisper-tiny``."""
    return model if "/" in model or Path(model).is_dir() else f"{_HUB_PREFIX}{model}"


def _read_options(spec: RecognizerSpec) -> tuple[int, str]:
    """Read beam size and backend."""
    options: dict[str, Any] = {**_DEFAULTS, **spec.inference}
    faults = [f"unknown option {key}" for key in sorted(options.keys() - _DEFAULTS)]
    if type(options["beam_size"]) is not int or options["beam_size"] < 1:
        faults.append(f"beam_size: got {options['beam_size']!r}, want 1 or more")
    if options["backend"] not in BACKENDS:
        wanted = " | ".join(BACKENDS)
        faults.append(f"backend: got {options['backend']!r}, want {wanted}")
    if faults:
        shown = "; ".join(faults)
        raise RecognizerUnavailable(spec.name, spec.identity, f"inference: {shown}")
    return options["beam_size"], options["backend"]


def _choose_backend(model: str, faster_whisper: ModuleType | None) -> str:
    folder = Path(model)
    if folder.is_dir():
        return "faster" if (folder / "model.bin").is_file() else "transformers"
    if "faster-whisper" in model:
        return "faster"
    if faster_whisper is not None and name_size(model) in (
        faster_whisper.available_models()
    ):
        return "faster"
    return "transformers"
