"""Load the recogniser that a specification asks for."""

from espnet_vibevoice.score.model_specs import RecognizerSpec
from espnet_vibevoice.score.recognition.recognizer import (
    Recognizer,
    RecognizerUnavailable,
)


def load_recognizer(spec: RecognizerSpec, device: str = "cpu") -> Recognizer:
    """Load a recogniser.

    Args:
        spec (RecognizerSpec): What to load.
        device (str): cpu | cuda | cuda:N.

    Raises:
        RecognizerUnavailable: It cannot be loaded; the message names it.
    """
    if missing := spec.list_missing_files():
        advice = f"; run {spec.recipe}/run.sh" if spec.recipe else ""
        reason = f"{', '.join(map(str, missing))}: no such file{advice}"
        raise RecognizerUnavailable(spec.name, spec.identity, reason)
    # imported here: each takes seconds
    if spec.kind == "whisper":
        from espnet_vibevoice.score.recognition.whisper import load_whisper

        return load_whisper(spec, device)
    from espnet_vibevoice.score.recognition.espnet import load_espnet

    return load_espnet(spec, device)
