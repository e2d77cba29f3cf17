"""Frozen linear layers in 8 or 4 bits through the package bitsandbytes.

The base stays as it is on disk: layers are quantised when it is loaded, and checkpoints
hold trained parameters only. What is exported or merged is built from the base anew.
Papers: LLM.int8(), arXiv 2208.07339; QLoRA, arXiv 2305.14314.
"""

import importlib
from types import ModuleType

from torch import nn

QUANTIZATIONS = ("8bit", "4bit")
# Weights that share a scale in 4 bits. bitsandbytes 0.50 reads wrong scales on a CPU
# where a row does not hold whole blocks.
BLOCK = 64
DEVICES = ("cpu", "cuda", "xpu")


def check_device(kind: str) -> None:
    """Refuse a device that cannot run quantised layers.

    Args:
        kind (str): Type of the device: cpu, cuda, mps, ...

    Raises:
        ValueError: If it cannot.
    """
    if kind not in DEVICES:
        raise ValueError(
            f"tts_conf quantize_base: quantised layers cannot run on {kind}, only on "
            f"{', '.join(DEVICES)}. Leave quantize_base out; base_dtype: bfloat16 "
            "halves the base on every device"
        )


def quantize_linear_layers(part: nn.Module, quantization: str) -> int:
    """Replace each linear layer of a frozen part by a quantised one, one at a time.

    Args:
        part (nn.Module): Part in float32 or bfloat16, on the CPU, without LoRA.
        quantization (str): 8bit | 4bit (nf4, double quantisation).

    Returns:
        int: Number of layers replaced.

    Raises:
        RuntimeError: If bitsandbytes is not installed.
        ValueError: If a layer's rows do not hold whole blocks of 4-bit weights.
    """
    layers = _load_layers()
    paths = [name for name, m in part.named_modules() if isinstance(m, nn.Linear)]
    widths = {part.get_submodule(path).in_features for path in paths}
    wrong = sorted(width for width in widths if width % BLOCK)
    if quantization == "4bit" and wrong:
        raise ValueError(
            f"tts_conf quantize_base 4bit: linear layers of this base have {wrong} "
            f"inputs, 4 bits need multiples of {BLOCK}. Choose 8bit"
        )
    for path in paths:
        parent, _, leaf = path.rpartition(".")
        made = layers.quantize(part.get_submodule(path), quantization)
        setattr(part.get_submodule(parent), leaf, made)
    # peft asks the model for these, as transformers sets them, to choose its layers.
    part.is_loaded_in_8bit = quantization == "8bit"
    part.is_loaded_in_4bit = quantization == "4bit"
    return len(paths)


def _load_layers() -> ModuleType:
    """Import the layers, which need bitsandbytes."""
    try:
        return importlib.import_module("espnet_vibevoice.models.quantized_layers")
    except ImportError as err:
        raise RuntimeError(
            "tts_conf quantize_base needs the package bitsandbytes, which is not "
            f"installed or cannot be loaded ({err}): run `pip install bitsandbytes`, "
            "or leave quantize_base out"
        ) from err
