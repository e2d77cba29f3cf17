"""Linear layers in 8 and 4 bits; importing this file needs bitsandbytes.

Both compute in bfloat16 like a plain layer under autocast, and follow the model from
device to device.
"""

import logging
from collections.abc import Callable
from typing import Self

import torch
from bitsandbytes.nn import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from torch import Tensor, nn

from espnet_vibevoice.models.quantization import BLOCK

# It warns at each call of each layer that inputs become float16 before rounding.
logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)


class EightBitLinear(Linear8bitLt):
    """A frozen linear layer with rows of 8-bit integers."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply.

        Args:
            x (Tensor): Inputs (..., in).

        Returns:
            Tensor: Outputs, bfloat16 (..., out).
        """
        return super().forward(x.to(torch.bfloat16))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the scales along: ``Module.to`` moves only the integers."""
        super()._apply(fn, recurse)
        for holder in (self.weight, self.state):
            if holder.CB is not None:
                holder.CB = self.weight.data
                holder.SCB = holder.SCB.to(self.weight.device)
        return self


class FourBitLinear(Linear4bit):
    """A frozen linear layer with blocks of 4-bit normal floats (nf4)."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply.

        Args:
            x (Tensor): Inputs (..., in).

        Returns:
            Tensor: Outputs, bfloat16 (..., out).
        """
        return super().forward(x.to(torch.bfloat16))


def quantize(layer: nn.Linear, quantization: str) -> nn.Linear:
    """Make the quantised twin of a layer, on the layer's device.

    Args:
        layer (nn.Linear): Layer in a floating-point type; left as it is.
        quantization (str): 8bit | 4bit.
    """
    weight = layer.weight.detach().to(torch.bfloat16)
    sizes = (layer.in_features, layer.out_features, layer.bias is not None)
    if quantization == "8bit":
        with torch.device("meta"):
            made = EightBitLinear(*sizes, has_fp16_weights=False)
        made.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        with torch.device("meta"):
            made = FourBitLinear(
                *sizes,
                compute_dtype=torch.bfloat16,
                compress_statistics=True,
                quant_type="nf4",
            )
        # Its own repacking for evaluation on some CPUs does not come back to training.
        made.support_avx512bf16_for_cpu = False
        made.weight = Params4bit(
            weight,
            blocksize=BLOCK,
            compress_statistics=True,
            quant_type="nf4",
            module=made,
        )
    if layer.bias is not None:
        bias = layer.bias.detach().to(torch.bfloat16)
        made.bias = nn.Parameter(bias, requires_grad=False)
    made.weight = made.weight.to(weight.device)  # quantises
    return made.train(layer.training)
