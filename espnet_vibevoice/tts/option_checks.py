"""Options that a trace would explain badly are refused with what to do."""

import argparse
import difflib
import inspect
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from espnet_vibevoice.adapters.experiment import MODEL_TYPES
from espnet_vibevoice.data.kaldi import read_lines
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.text.token_rate import AUTO_WINDOW
from espnet_vibevoice.tts.family import refuse_espnet_adapter


def refuse_other_ways(args: argparse.Namespace) -> None:
    """Refuse options of ESPnet that would train our models in another way than ours.

    Under ``use_amp`` ESPnet's autocast knows GPUs only and takes float16 on those
    without bfloat16, where the base's activations overflow; its gradient scaler is
    then part of checkpoints; decoding and samples would run without any of it.
    ``precision`` is the same in training and decoding, on GPU and CPU.

    Args:
        args (Namespace): Options of the training.

    Raises:
        ValueError: If one is set.
    """
    refuse_espnet_adapter(args)
    if args.use_amp:
        raise ValueError(
            "use_amp is true: ESPnet's mixed precision is not used for "
            f"tts: {args.tts}. Leave it out and set tts_conf: {{precision: bfloat16}}"
        )
    if args.use_deepspeed:
        raise ValueError(
            "use_deepspeed is true, but DeepSpeed replaces the trainer, which "
            f"tts: {args.tts} needs. Leave it out; tts_conf gradient_checkpointing, "
            "base_dtype and quantize_base save memory"
        )
    if args.train_dtype not in ("float32", "float64"):
        raise ValueError(
            f"train_dtype is {args.train_dtype}: trained weights are kept in float32. "
            "Leave it out and set tts_conf: {precision: bfloat16}"
        )


def refuse_auto_window(tts_conf: Mapping[str, Any]) -> None:
    """Raise ValueError if the text window still is to be measured."""
    if tts_conf.get("text_window") == AUTO_WINDOW:
        raise ValueError(
            f"tts_conf text_window is {AUTO_WINDOW}, which stage 4 of our tts.sh turns "
            "into a number: run it, or give the number that its token_rate.txt names, "
            "e.g. --tts_conf text_window=8"
        )


def check_keys(name: str, given: Collection[str], target: type) -> None:
    """Raise ValueError for keys that are no argument of a class.

    Args:
        name (str): Name of the configuration, for the message.
        given (Collection[str]): Keys of the configuration.
        target (type): Class that is built from them.
    """
    known = list(inspect.signature(target.__init__).parameters)[1:]
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"{name} has the key {key}, which {target.__name__} does not know: "
                f"{hint}It knows {', '.join(known)}"
            )


def check_token_list(path: Path, vocabulary: list[str], base: str) -> None:
    """Raise ValueError if a token list is not the base's vocabulary."""
    tokens = read_lines(path)
    if tokens != vocabulary:
        raise ValueError(
            f"{path} ({len(tokens)} tokens) is not the vocabulary of {base} "
            f"({len(vocabulary)} tokens): rerun the token stage with this base"
        )


def check_family(tts: str, base: str) -> None:
    """Raise ValueError if a base is of another family than the model.

    Args:
        tts (str): ``tts`` of the configuration.
        base (str): The base, see `base_folder.resolve_base`.
    """
    found = load_config(resolve_base(base)).model_type
    if found != MODEL_TYPES[tts]:
        fitting = [name for name, kind in MODEL_TYPES.items() if kind == found]
        raise ValueError(
            f"tts: {tts} needs a base of model_type {MODEL_TYPES[tts]}, but that of "
            f"{base} is {found}. Give another base, or set tts: {fitting[0]}"
        )
