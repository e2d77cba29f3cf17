"""The settings of a trained model as ESPnet's decoding would see them."""

import inspect
from pathlib import Path
from typing import Any

from espnet_vibevoice.adapters.experiment import read_config


def read_experiment_conf(config: Path, checkpoint: Path) -> dict[str, Any]:
    """Read ``tts_conf`` of an experiment, with the defaults of its class filled in.

    Args:
        config (Path): ``config.yaml``.
        checkpoint (Path): Weights in the same folder.

    Returns:
        dict: Every setting of the class; besides, ``ends_with_segment`` for a model
            that was trained without the end-of-text token, and ``cleaner``, the name
            of what read its texts.

    Raises:
        FileNotFoundError: If there is no such configuration.
        ValueError: If it is not valid, of another model or of another folder.
    """
    if config.parent.resolve() != checkpoint.parent.resolve():
        raise ValueError(
            f"--model {config} {checkpoint}: both must lie in one folder, as training "
            "wrote them."
        )
    found = read_config(config.parent)
    # imported here: it brings ESPnet, which a plain base does without
    from espnet_vibevoice.plugin import TTS_CLASSES

    parameters = inspect.signature(TTS_CLASSES[found["tts"]]).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    conf = defaults | found["tts_conf"]
    if "append_end_of_text" in conf:
        conf["ends_with_segment"] = not conf["append_end_of_text"]
    conf["cleaner"] = found.get("cleaner")
    return conf


def list_voices(conf: dict[str, Any]) -> list[str]:
    """List the voices that a training names for decoding.

    Args:
        conf (dict): Output of `read_experiment_conf`, or empty.

    Returns:
        list[str]: One for each speaker; empty without any.
    """
    voices = conf.get("voice_prompt") or []
    return [voices] if isinstance(voices, str) else [str(voice) for voice in voices]
