"""ESPnet recognisers, decoded as ``espnet2.bin.asr_inference`` decodes them.

The class behind that command does the work, and the preprocessing that the command
puts before it (volume normalisation, say) is the training's own, as there. Options
of ``inference`` are those of the command. Unlike there, audio above 30 s is cut at
pauses: models have heard no longer one, and memory grows with the square of its length.
"""

import importlib.util
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from espnet2.bin.asr_inference import Speech2Text, TooShortUttError
from espnet2.tasks.asr import ASRTask

from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.score.model_files import LOADING_ERRORS, check_weights
from espnet_vibevoice.score.model_specs import RecognizerSpec
from espnet_vibevoice.score.recognition.recognizer import (
    RecognizerUnavailable,
    recognize_in_pieces,
)

_DEFAULT_FS = 16000  # of frontends whose configuration names none
# What the specification says itself, and what gives results of another form.
_NOT_OPTIONS = {
    *("self", "asr_train_config", "asr_model_file", "device", "batch_size"),
    *("nbest", "streaming", "enh_s2t_task", "multi_asr"),
}


class EspnetRecognizer:
    """An ESPnet speech recognition model.

    Args:
        speech2text (Speech2Text): The loaded model with its search.
    """

    def __init__(self, speech2text: Speech2Text):
        self._speech2text = speech2text
        args = speech2text.asr_train_args
        self.fs = _read_fs(vars(args).get("frontend_conf") or {})
        self._preprocess = ASRTask.build_preprocess_fn(args, False)

    def recognize(self, waveform: np.ndarray, fs: int) -> str:
        """Write down what is said; see :class:`Recognizer`."""
        return recognize_in_pieces(self._transcribe, waveform, fs, self.fs)

    def _transcribe(self, speech: np.ndarray) -> str:
        """Write down a piece (T_wav,) at the model's rate."""
        if self._preprocess is not None:
            speech = self._preprocess("utterance", {"speech": speech})["speech"]
        try:
            results = self._speech2text(speech)
        except TooShortUttError:
            return ""
        if isinstance(results, tuple):  # the second part is intermediate CTC
            results = results[0]
        if not results:
            return ""
        text, tokens, _, _ = results[0]
        return " ".join(tokens) if text is None else text


def load_espnet(spec: RecognizerSpec, device: str) -> EspnetRecognizer:
    """Load an ESPnet model from its files, or by its tag.

    Args:
        spec (RecognizerSpec): Of kind espnet.
        device (str): cpu | cuda | cuda:N.

    Raises:
        RecognizerUnavailable: Files are missing or damaged, belong to different
            models, options are unknown, or the tag cannot be had.
    """
    _check_options(spec)
    if spec.tag is not None and importlib.util.find_spec("espnet_model_zoo") is None:
        raise _unavailable(
            spec,
            "a tag needs espnet_model_zoo: pip install espnet_model_zoo, or give the "
            "files of the model (config and model_file).",
        )
    try:
        speech2text = Speech2Text.from_pretrained(
            spec.tag,
            **_name_files(spec),
            device=device,
            **spec.inference,
        )
        recognizer = EspnetRecognizer(speech2text)
        _check_weights(spec, speech2text)
    except LOADING_ERRORS as err:
        said = str(err) or "no reason given"
        raise _unavailable(
            spec, f"it does not load: {type(err).__name__}: {said}"
        ) from err
    return recognizer


def _name_files(spec: RecognizerSpec) -> dict[str, str | None]:
    if spec.tag is not None:
        return {}
    return {"asr_train_config": spec.config, "asr_model_file": spec.model_file}


def _check_options(spec: RecognizerSpec) -> None:
    known = inspect.signature(Speech2Text.__init__).parameters.keys() - _NOT_OPTIONS
    if unknown := sorted(map(str, spec.inference.keys() - known)):
        raise _unavailable(
            spec,
            f"inference: unknown options {summarize_faults(unknown)}; known are "
            f"{', '.join(sorted(known))}",
        )


def _check_weights(spec: RecognizerSpec, speech2text: Speech2Text) -> None:
    if spec.model_file is None or spec.config is None:
        return  # a tag brings files that belong together
    if vars(speech2text.asr_train_args).get("use_adapter"):
        return  # the file holds the adapter only
    check_weights(spec.model_file, speech2text.asr_model.state_dict(), spec.config)


def _read_fs(frontend_conf: Mapping[str, Any]) -> int:
    """Sampling rate of a frontend, written as 16000 or as 16k."""
    value = str(frontend_conf.get("fs", _DEFAULT_FS)).lower()
    factor = 1000 if value.endswith("k") else 1
    return round(float(value.removesuffix("k")) * factor)


def _unavailable(spec: RecognizerSpec, reason: str) -> RecognizerUnavailable:
    return RecognizerUnavailable(spec.name, spec.identity, reason)
