"""Marks in a checkpoint that only a right one carries, as tensors among the weights.

ESPnet averages checkpoints name by name. The mean of LoRA factors is not the mean of
models, so the factors are sealed: the SHA-256 of them stands beside them as 32 numbers,
which no longer fits after averaging. The fingerprint of the base is written in the same
way. It does survive averaging, unless the bases differed.
"""

import hashlib
import os
import re
from collections.abc import Mapping

import torch
from torch import Tensor

BASE_FINGERPRINT = "base_fingerprint"
LORA_SEAL = "lora_seal"
# Before what training goes on from where weights are averaged over steps (`tts.ema`).
AVERAGE_PREFIX = "ema."
WAY_OUT_OF_AVERAGE = (
    "decode with the best checkpoint (*.best.pth), or average with python -m "
    "espnet_vibevoice.bin.average_checkpoints, which averages the products"
)
# peft's names: the last word but one is that of the adapter
_LORA = re.compile(r"(.+)\.lora_(A|B|magnitude_vector)\.\w+\.weight")


def encode_digest(digest: str) -> Tensor:
    """Write 64 hexadecimal digits as numbers from 0 to 255, float32 (32,)."""
    return torch.tensor(list(bytes.fromhex(digest)), dtype=torch.float32)


def decode_digest(tensor: Tensor) -> str | None:
    """Read what `encode_digest` wrote; None if it is not that."""
    values = tensor.detach().to("cpu", torch.float64).flatten()
    is_whole = bool(
        ((values >= 0) & (values <= 255) & (values == values.round())).all()
    )
    if len(values) != 32 or not is_whole:
        return None
    return bytes(int(value) for value in values).hex()


def group_lora(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Find the tensors of LoRA in a state dict.

    Args:
        state (Mapping): Name to tensor.

    Returns:
        dict: Path of the layer to ``A`` (r, in), ``B`` (out, r) and, with DoRA,
            ``magnitude_vector`` (out,).
    """
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        match = _LORA.fullmatch(name)
        if match:
            layers.setdefault(match[1], {})[match[2]] = tensor
    return layers


def lora_names(state: Mapping[str, Tensor]) -> list[str]:
    """List the names of the tensors of LoRA in a state dict, sorted."""
    return sorted(name for name in state if _LORA.fullmatch(name))


def seal_lora(state: Mapping[str, Tensor]) -> Tensor | None:
    """Compute the seal of a state dict's LoRA tensors.

    Args:
        state (Mapping): Name to tensor. What all names begin with does not count, so
            that a model and a part of a larger model have the same seal.

    Returns:
        Tensor | None: The seal (32,); None if there is no LoRA.
    """
    names = lora_names(state)
    if not names:
        return None
    start = len(os.path.commonprefix(names))
    digest = hashlib.sha256()
    for name in names:
        value = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name[start:]} {tuple(value.shape)}\n".encode())
        digest.update(value.numpy().tobytes())
    return encode_digest(digest.hexdigest())


def is_seal_broken(state: Mapping[str, Tensor], seal: Tensor) -> bool:
    """Tell whether LoRA tensors are not those that were sealed."""
    fitting = seal_lora(state)
    return fitting is None or not torch.equal(fitting, seal.detach().float().cpu())
