"""Bases on disk: read their weights strictly, write one back.

A base is a folder with ``config.json`` and one or many ``.safetensors`` files, in the
original format or, for the multi-speaker family, in transformers' own. Every weight
that is missing, unexpected or of a wrong shape is collected and reported by name.
"""

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.models.base_writer import INDEX_NAME, WEIGHTS_NAME, write_base
from espnet_vibevoice.models.native import NATIVE_START, native_name
from espnet_vibevoice.models.weight_names import (
    original_name,
    original_name_in,
    our_name_in,
)

__all__ = [
    "INDEX_NAME",
    "WEIGHTS_NAME",
    "choose_names",
    "collect_state",
    "find_weights",
    "has_encoder_weights",
    "load_weights",
    "original_name",
    "original_name_in",
    "our_name_in",
    "save_base",
]

CODEC_PREFIX = "acoustic_tokenizer."
LOWER_EMBEDDING = "model.language_model.embed_tokens.weight"
# The upper part is fed hidden states. Its table is in the files but is never read.
UNUSED_EMBEDDING = "model.tts_language_model.embed_tokens.weight"
TIED_WEIGHT = "lm_head.weight"
_UPPER_PART = "model.tts_language_model."


def find_weights(folder: Path) -> dict[str, Path]:
    """List the weights of a base and the file that holds each.

    Args:
        folder (Path): Base folder.

    Returns:
        dict[str, Path]: Original name to ``.safetensors`` file.

    Raises:
        FileNotFoundError: If the folder or its index names a file that is absent.
        ValueError: If a file is not in the safetensors format or the index is broken.
    """
    index_path = folder / INDEX_NAME
    if index_path.is_file():
        files = sorted({folder / name for name in _read_index(index_path).values()})
    else:
        files = [folder / WEIGHTS_NAME]
    found = {}
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file. The base is incomplete: fetch it again."
            )
        try:
            with safe_open(path, "pt") as weights:
                found.update(dict.fromkeys(weights.keys(), path))
        except SafetensorError as err:
            raise ValueError(
                f"{path}: not a safetensors file ({err}). Fetch it again."
            ) from err
    return found


def _read_index(path: Path) -> dict[str, str]:
    """Read which file holds each weight of a base in several files."""
    try:
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(file) for name, file in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise ValueError(
            f"{path}: holds no weight_map of names to files ({type(err).__name__}: "
            f"{err}). Fetch the base again."
        ) from err


def has_encoder_weights(folder: Path, part: str = "acoustic_tokenizer") -> bool:
    """Whether a base brings an encoder (the released realtime one does not).

    Args:
        folder (Path): Base folder.
        part (str): acoustic_tokenizer | semantic_tokenizer.
    """
    found = find_weights(folder)
    prefix = choose_names(found)(f"{part}.encoder.")
    return any(name.startswith(prefix) for name in found)


def choose_names(found: Collection[str]) -> Callable[[str], str]:
    """Choose how weights are named in the files of a base.

    Args:
        found (Collection[str]): Names in its files.

    Returns:
        Callable[[str], str]: Our name to the name in the files: that of the original
            format, or transformers' own.
    """
    is_native = any(name.startswith(NATIVE_START) for name in found)
    return native_name if is_native else original_name


def load_weights(
    model: nn.Module, folder: Path, dtype: torch.dtype, prefix: str = ""
) -> None:
    """Fill a model, or one part of it, from a base; every weight must fit.

    Args:
        model (nn.Module): Model or part to fill; it may be on the meta device.
        folder (Path): Base folder, in the original format or transformers' own.
        dtype (torch.dtype): Type of the loaded weights; buffers stay float32.
        prefix (str): Name of the part with a dot; empty for the whole model.

    Raises:
        ValueError: If weights are missing, unexpected or of a wrong shape.
    """
    expected = model.state_dict()
    found = find_weights(folder)
    name_in_file = choose_names(found)
    wanted = {name_in_file(prefix + name): name for name in expected}
    start = name_in_file(prefix) if prefix else ""
    found = {k: v for k, v in found.items() if k.startswith(start)}
    faults = [f"missing {name}" for name in sorted(set(wanted) - set(found))]
    faults += _list_unexpected(found, wanted, bool(prefix))
    buffers = {name for name, _ in model.named_buffers()}
    state = {}
    for path in sorted(set(found.values())):
        with safe_open(path, "pt") as weights:
            for name in sorted(set(weights.keys()) & set(wanted)):
                kind = torch.float32 if wanted[name] in buffers else dtype
                tensor = weights.get_tensor(name).to(dtype=kind, copy=True)
                state[wanted[name]] = tensor
                shape = tuple(expected[wanted[name]].shape)
                if tuple(tensor.shape) != shape:
                    faults.append(
                        f"wrong shape {name}: got {tuple(tensor.shape)}, wanted {shape}"
                    )
    if faults:
        raise ValueError(
            f"{folder}: {len(faults)} weights do not fit config.json: "
            f"{summarize_faults(faults)}. Fetch the base again, or give the "
            "config.json that belongs to these weights."
        )
    model.load_state_dict(state, assign=True)


def _list_unexpected(
    found: dict[str, Path], wanted: Collection[str], is_part: bool
) -> list[str]:
    """List what the model has no place for.

    A tied ``lm_head`` may be in the files although nobody asks for it, if it equals
    what it is tied to. Names are the same in both formats.
    """
    unexpected = sorted(set(found) - set(wanted) - {UNUSED_EMBEDDING})
    faults = []
    for name in unexpected:
        if name != TIED_WEIGHT or is_part or LOWER_EMBEDDING not in found:
            faults.append(f"unexpected {name}")
        elif not _read(found, name).equal(_read(found, LOWER_EMBEDDING)):
            faults.append(f"{name} is not {LOWER_EMBEDDING}, which config.json wants")
    return faults


def _read(found: dict[str, Path], name: str) -> Tensor:
    """Read one weight."""
    with safe_open(found[name], "pt") as weights:
        return weights.get_tensor(name)


def save_base(
    model: nn.Module,
    original: dict[str, Any],
    folder: Path,
    keep_unused: bool = True,
    max_shard_bytes: int | None = None,
) -> None:
    """Write a model as a base in the original format.

    The embedding table of a realtime model's upper part, which nothing reads, is
    written as a copy of the lower part's, because readers of the original format ask
    for it. Without it the base has our own form: smaller by that table.

    Args:
        model (nn.Module): A model of either family.
        original (dict): Its configuration in the original form.
        folder (Path): Folder to write into; made if absent.
        keep_unused (bool): Whether to write that table.
        max_shard_bytes (int | None): Largest size of a file, but for a single larger
            weight; None for one file.

    Raises:
        FileExistsError: If the folder holds a base in another number of files.
    """
    state = collect_state(model, original_name)
    if keep_unused and any(name.startswith(_UPPER_PART) for name in state):
        state[UNUSED_EMBEDDING] = state[LOWER_EMBEDDING].clone()
    dtype = str(state[LOWER_EMBEDDING].dtype).removeprefix("torch.")
    write_base(state, {**original, "torch_dtype": dtype}, folder, max_shard_bytes)


def collect_state(
    model: nn.Module, name_in_file: Callable[[str], str]
) -> dict[str, Tensor]:
    """List the weights to write.

    Args:
        model (nn.Module): The model.
        name_in_file (Callable[[str], str]): Our name to the name in the files.

    Returns:
        dict[str, Tensor]: Name in the files to tensor on the CPU.
    """
    return {
        name_in_file(name): tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
