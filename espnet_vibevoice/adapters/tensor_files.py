"""Files of tensors, read without running anything that they hold.

A pickle can run code when it is opened, and adapters are passed from hand to hand. So
``.safetensors`` files are read as such, and ``.bin``, ``.pt`` and ``.pth`` files
through torch's restricted reader, which knows tensors and plain containers only.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

# What a damaged or hostile file makes torch.load raise.
UNREADABLE = (
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)

_WHICH_FILE = (
    "Of an ESPnet experiment give the weights of an epoch (valid.loss.best.pth, "
    "3epoch.pth), not checkpoint.pth."
)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors.

    Args:
        path (Path): ``.safetensors``, or a state dict in torch's format.

    Returns:
        dict[str, Tensor]: Name to tensor, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is cut off, damaged, or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Give the whole folder.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as err:
            raise ValueError(
                f"{path}: cut off or not a safetensors file ({err}). Copy it again."
            ) from err
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as err:
        raise ValueError(
            f"{path}: cut off, or holds more than tensors ({_find_reason(err)}). Copy "
            f"it again; files that would run code are not opened. {_WHICH_FILE}"
        ) from err
    is_state = isinstance(state, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, Tensor)
        for name, tensor in state.items()
    )
    if not is_state:
        raise ValueError(f"{path}: holds no table of named tensors. {_WHICH_FILE}")
    return dict(state)


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a ``.safetensors`` file, or ``.bin`` in torch's format; makes the folder.

    Args:
        tensors (Mapping): Name to tensor.
        path (Path): File to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    if path.suffix != ".safetensors":
        torch.save(plain, path)
        return
    path.touch()
    mode = path.stat().st_mode
    save_file(plain, path, metadata={"format": "pt"})
    path.chmod(mode)  # safetensors makes files that nobody else may read


def _find_reason(err: Exception) -> str:
    """Say in one line what torch found; its advice to trust the file is left out."""
    lines = str(err).splitlines()
    told = [line for line in lines if "WeightsUnpickler error: " in line]
    line = told[0].partition("WeightsUnpickler error: ")[2] if told else str(err)
    return line.partition(". ")[0].partition("\n")[0].strip() or type(err).__name__
