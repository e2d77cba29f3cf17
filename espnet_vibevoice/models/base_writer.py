"""Writes the files of a base: weights in one or many files, and ``config.json``."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"


def write_base(
    state: dict[str, Tensor],
    config: dict[str, Any],
    folder: Path,
    max_shard_bytes: int | None = None,
) -> None:
    """Write weights and configuration; what is there is replaced only at the end.

    Args:
        state (dict[str, Tensor]): Names in the files to tensors.
        config (dict): Content of ``config.json``.
        folder (Path): Folder to write into; made if absent.
        max_shard_bytes (int | None): Largest size of a file; None for one file.

    Raises:
        FileExistsError: If the folder holds a base in another number of files.
    """
    shards = _divide(state, max_shard_bytes)
    for name, is_wrong in ((INDEX_NAME, True), (WEIGHTS_NAME, len(shards) > 1)):
        if is_wrong and (folder / name).exists():
            raise FileExistsError(
                f"{folder}: holds a base in {name}, {len(shards)} files of weights "
                "would be several files that do not belong together. Give another "
                "folder."
            )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tmp-") as temporary:
        made = Path(temporary)
        _write_json(made / "config.json", config)
        if len(shards) > 1:
            _write_json(made / INDEX_NAME, _make_index(shards))
        mode = (made / "config.json").stat().st_mode
        for name, part in shards.items():
            save_file(part, made / name, metadata={"format": "pt"})
            (made / name).chmod(mode)  # safetensors lets nobody else read
        # Weights come first: what names them must not be there before they are.
        for name in (*shards, INDEX_NAME, "config.json"):
            if (made / name).exists():
                os.replace(made / name, folder / name)


def _divide(
    state: dict[str, Tensor], max_bytes: int | None
) -> dict[str, dict[str, Tensor]]:
    """Divide weights among files, in their order."""
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in state.items():
        size += tensor.nbytes
        if max_bytes is not None and size > max_bytes and parts[-1]:
            parts.append({})
            size = tensor.nbytes
        parts[-1][name] = tensor
    if len(parts) == 1:
        return {WEIGHTS_NAME: state}
    return {
        f"model-{number:05}-of-{len(parts):05}.safetensors": part
        for number, part in enumerate(parts, start=1)
    }


def _make_index(shards: dict[str, dict[str, Tensor]]) -> dict[str, Any]:
    """Tell which file holds each weight."""
    total = sum(t.nbytes for part in shards.values() for t in part.values())
    return {
        "metadata": {"total_size": total},
        "weight_map": {name: file for file, part in shards.items() for name in part},
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file."""
    text = json.dumps(content, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
