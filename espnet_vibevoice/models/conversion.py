"""What keeps its type when a model is converted, or runs under autocast.

Constants (buffers) stay exact in every type. Frozen weights that were brought to a type
on purpose keep it: ESPnet converts each model to float32 once it is built.
"""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


def leave_autocast(tensor: Tensor) -> torch.autocast:
    """Keep autocast off for what must stay exact, such as the codec.

    Args:
        tensor (Tensor): Tells the device.

    Returns:
        torch.autocast: A context; inside, operations run in the type of their inputs.
    """
    return torch.autocast(tensor.device.type, enabled=False)


class SteadyModel(nn.Module):
    """A model whose buffers, and whose frozen weights on request, keep their type.

    Attributes:
        keeps_frozen_types (bool): Whether parameters without ``requires_grad`` keep
            their type; False at first, see `memory.prepare_memory`.
    """

    def __init__(self):
        super().__init__()
        self.keeps_frozen_types = False

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Convert or move; what keeps its type is moved all the same."""
        steady = {id(buffer) for buffer in self.buffers()}
        if self.keeps_frozen_types:
            steady |= {id(p) for p in self.parameters() if not p.requires_grad}

        def convert(tensor: Tensor) -> Tensor:
            made = fn(tensor)
            if id(tensor) in steady and made.dtype != tensor.dtype:
                return tensor.to(made.device)
            return made

        return super()._apply(convert, recurse)
