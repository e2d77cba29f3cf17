"""Reads the official voice presets (``.pt``) without running what they contain.

A ``.pt`` file is a zip of raw storages and a pickle that puts them together. A pickle
may name any function of any library, so only the few names that presets need are
admitted here, each with a stand-in of our own; every other name is refused. Neither
``torch.load`` nor the transformers release that wrote the file is needed.
"""

import collections
import io
import math
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_DTYPES = {
    "BFloat16Storage": torch.bfloat16,
    "HalfStorage": torch.float16,
    "FloatStorage": torch.float32,
}
# What damaged or hostile pickles raise inside the unpickler.
_PICKLE_ERRORS = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


class _StoredOutput(dict):
    """Stands in for ``BaseModelOutputWithPast``: its fields, by name."""

    def __init__(self, *fields: object):
        super().__init__(
            zip(("last_hidden_state", "past_key_values"), fields, strict=False)
        )

    def __setstate__(self, state: object) -> None:
        """Ignore the attributes: they repeat the items."""


class _StoredCache:
    """Stands in for ``DynamicCache`` as transformers 4.51 pickles it."""

    keys: Sequence[Tensor] = ()
    values: Sequence[Tensor] = ()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the two lists of tensors, one tensor a layer."""
        self.keys, self.values = list(state["key_cache"]), list(state["value_cache"])


class _RebuildTensor:
    """Stands in for ``torch._utils._rebuild_tensor_v2``."""

    __slots__ = ()

    def __call__(
        self,
        storage: Tensor,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        *unused: object,
    ) -> Tensor:
        """Make a tensor of its own from a storage (numel,)."""
        if math.prod(size) > len(storage):
            raise ValueError(f"a tensor {size} from a storage of {len(storage)}")
        view = torch.as_strided(storage, size, stride, offset)
        return view.clone(memory_format=torch.contiguous_format)

    def __setstate__(self, state: object) -> None:
        """Refuse attributes."""
        raise pickle.UnpicklingError("attributes set on a function")


_ADMITTED: dict[tuple[str, str], object] = {
    ("transformers.modeling_outputs", "BaseModelOutputWithPast"): _StoredOutput,
    ("transformers.cache_utils", "DynamicCache"): _StoredCache,
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("collections", "OrderedDict"): collections.OrderedDict,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}


class ForeignGlobalError(ValueError):
    """A preset names something that presets do not need.

    Args:
        name (str): Module and name, e.g. ``os.system``.
    """

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name


class _PresetUnpickler(pickle.Unpickler):
    """Admits the names of a voice preset and refuses every other.

    Args:
        data (bytes): The pickle.
        read_storage (Callable): Gives the bytes of a storage by its key.
    """

    def __init__(self, data: bytes, read_storage: Callable[[str], bytes]):
        super().__init__(io.BytesIO(data))
        self._read_storage = read_storage

    def find_class(self, module_name: str, global_name: str) -> object:
        """Look a name up in the table of admitted ones."""
        if (module_name, global_name) not in _ADMITTED:
            raise ForeignGlobalError(f"{module_name}.{global_name}")
        return _ADMITTED[module_name, global_name]

    def persistent_load(self, pid: tuple[Any, ...]) -> Tensor:
        """Read a storage (numel,); everything goes to the CPU."""
        kind, dtype, key, _, numel = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError(f"{kind!r} where a storage was expected")
        data = self._read_storage(str(key))
        if len(data) != numel * dtype.itemsize:
            raise ValueError(f"storage {key}: {len(data)} bytes for {numel} {dtype}")
        return torch.from_numpy(np.frombuffer(data, np.uint8).copy()).view(dtype)


def read_preset(path: Path) -> dict[str, tuple[Tensor, list[Tensor], list[Tensor]]]:
    """Read an official preset.

    Args:
        path (Path): A ``.pt`` file.

    Returns:
        dict: Name of a branch to its last hidden states (Tensor), keys and values
            (lists of Tensors); shapes are not judged here.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, no preset, or names a foreign global.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such voice preset. Give a .pt or .safetensors file."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            stored = _unpickle(archive)
    except ForeignGlobalError as err:
        raise ValueError(
            f"{path}: names {err.name}, which no voice preset needs; nothing of it "
            "was run. Do not use this file; fetch the preset from its publisher."
        ) from err
    except (zipfile.BadZipFile, NotImplementedError, *_PICKLE_ERRORS) as err:
        raise ValueError(
            f"{path}: not a whole voice preset in torch's zip format "
            f"({type(err).__name__}: {err}). Fetch the file again."
        ) from err
    return {str(name): _read_branch(path, name, stored[name]) for name in stored}


def _unpickle(archive: zipfile.ZipFile) -> dict[Any, Any]:
    """Unpickle the one ``data.pkl`` of an archive."""
    names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
    if len(names) != 1:
        raise ValueError(f"{len(names)} entries data.pkl, wanted 1")
    if any(i.compress_type != zipfile.ZIP_STORED for i in archive.infolist()):
        raise ValueError("compressed entries, torch writes none")
    folder = names[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist():
        order = archive.read(f"{folder}byteorder")
        if order != b"little":
            raise ValueError(f"byte order {order!r}, wanted b'little'")
    unpickler = _PresetUnpickler(
        archive.read(names[0]), lambda key: archive.read(f"{folder}data/{key}")
    )
    stored = unpickler.load()
    if not isinstance(stored, dict):
        raise ValueError(f"holds {type(stored).__name__}, wanted a dict of branches")
    return stored


def _read_branch(
    path: Path, name: object, stored: object
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Take hidden states, keys and values out of one stored output."""
    cache = stored.get("past_key_values") if isinstance(stored, dict) else None
    if not isinstance(cache, _StoredCache):
        raise ValueError(
            f"{path}: {name} holds no model output with a cache. Give a voice preset "
            "of VibeVoice-Realtime."
        )
    hidden = stored.get("last_hidden_state")
    tensors: list[Any] = [hidden, *cache.keys, *cache.values]
    if not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise ValueError(
            f"{path}: {name} lacks tensors. Give a voice preset of VibeVoice-Realtime."
        )
    return hidden, list(cache.keys), list(cache.values)
