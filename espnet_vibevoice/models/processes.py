"""Sums over all processes of a distributed training.

A mean over frames is the sum of all processes by the count of all, not a mean of means.
So each process returns its own sum by the count of all. What ESPnet does with it
(`train_one_epoch` in ``espnet2/train/trainer.py``: weighted by rows, summed, gradients
averaged) gives loss, figures and gradient of one process that has the whole batch. All
processes must call these functions equally often; a single one exchanges nothing.
"""

import torch
from torch import Tensor, distributed


def is_one_of_several() -> bool:
    """Tell whether other processes train along with this one."""
    if not distributed.is_available() or not distributed.is_initialized():
        return False
    return distributed.get_world_size() > 1


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up a tensor over all processes; no gradient passes.

    Args:
        values (Tensor): Of one shape, dtype and kind of device everywhere.

    Returns:
        Tensor: The sum, on every process.
    """
    total = values.detach().clone()
    if is_one_of_several():
        distributed.all_reduce(total)
    return total


def find_smallest_of_all(values: Tensor, count: int) -> Tensor:
    """Find the smallest values of all processes.

    Args:
        values (Tensor): Values of this process, floating point (n,); n may differ.
        count (int): How many to find.

    Returns:
        Tensor: The smallest in ascending order, infinite where all processes together
            have fewer (count,).
    """
    missing = values.new_full((count,), torch.inf)
    found = torch.cat([values.detach(), missing]).sort().values[:count]
    if not is_one_of_several():
        return found
    gathered = [torch.empty_like(found) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, found)
    return torch.cat(gathered).sort().values[:count]
