"""The model settings of a training configuration, as the training would see them.

Data stages need the base and the windows before ``tts_train`` parses anything. They
read the same YAML and the same ``--train_args``; ESPnet's own action merges them.
"""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.text.tokenizer import TextTokenizer, load_tokenizer


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the settings stand."""
    parser.add_argument("--train_config", default="", help="training configuration")
    parser.add_argument("--train_args", default="", help="options that overrule it")
    parser.add_argument("--base", help="base model where the configuration names none")
    parser.add_argument(
        "--acoustic_encoder",
        help="encoder in place of the base's own where the configuration names none: "
        "checkpoint (folder or hub id) or .safetensors file",
    )


def read_tts_conf(args: argparse.Namespace) -> dict[str, Any]:
    """Read ``tts_conf`` with its base filled in.

    Args:
        args (Namespace): Options of :func:`add_model_options`.

    Returns:
        dict: ``tts_conf``; ``base`` is set, ``acoustic_encoder`` if one is named.

    Raises:
        FileNotFoundError: If there is no such configuration.
        ValueError: If it is no mapping or no base is named.
    """
    config: Any = {}
    if args.train_config:
        path = Path(args.train_config)
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as err:
            raise ValueError(f"{path} is not valid YAML: {err}") from err
        if not isinstance(config, dict):
            raise ValueError(f"{path} holds no mapping of keys to values")
    if not isinstance(config.get("tts_conf") or {}, dict):
        raise ValueError(f"{path}: tts_conf holds no mapping of keys to values")
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--tts_conf", action=NestedDictAction, default={})
    parser.set_defaults(tts_conf=dict(config.get("tts_conf") or {}))
    tts_conf = parser.parse_known_args(shlex.split(args.train_args))[0].tts_conf
    tts_conf["base"] = tts_conf.get("base") or args.base
    if tts_conf["base"] is None:
        raise ValueError(
            "no base model is named: set tts_conf: {base: ...} in the training "
            "configuration, or give --python 'python3 -m espnet_vibevoice --base BASE'"
        )
    encoder = tts_conf.get("acoustic_encoder") or args.acoustic_encoder
    if encoder is not None:
        tts_conf["acoustic_encoder"] = encoder
    return tts_conf


def is_multispeaker(base: str) -> bool:
    """Tell whether a base is of the multi-speaker family.

    Args:
        base (str): Base, see `base_folder.resolve_base`.
    """
    # imported here, as below: they take seconds, and data stages mostly ask for names
    from espnet_vibevoice.models.config import load_config
    from espnet_vibevoice.models.multispeaker_config import MultispeakerConfig

    return isinstance(load_config(resolve_base(base)), MultispeakerConfig)


def load_base_tokenizer(tts_conf: Mapping[str, Any]) -> TextTokenizer:
    """Load the tokenizer that a model's settings name: its own, or the base's.

    Args:
        tts_conf (Mapping): Settings with ``base`` and perhaps ``tokenizer``.

    Returns:
        TextTokenizer: A `ScriptTokenizer` for a multi-speaker base.
    """
    from espnet_vibevoice.tts.script_tokenizer import ScriptTokenizer

    base = tts_conf["base"]
    kind = ScriptTokenizer if is_multispeaker(base) else TextTokenizer
    return load_tokenizer(resolve_base(base), tts_conf.get("tokenizer"), kind)
