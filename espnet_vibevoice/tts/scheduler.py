"""Cosine with warm-up by optimiser step, chosen as ``scheduler: warmupcosinelr``.

ESPnet 202511 offers ``cosineannealingwarmuprestarts``, which takes no notice of
``optim_conf: {lr: ...}``, wants the number of steps in advance and starts again from
its minimum behind the last one.
"""

import logging
import math
from typing import Any

from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

logger = logging.getLogger(__name__)


class WarmupCosineLR(LRScheduler, AbsBatchStepScheduler):
    """Rise in a line to the rates of the optimiser, fall along half a cosine, stay.

    Checkpoints hold the number of steps only. So a training that is resumed with more
    epochs follows the curve of the longer training from there.

    Args:
        optimizer (Optimizer): Its rates (``optim_conf: {lr: ...}``) are the peaks.
        warmup_steps (int): Steps to the peak; step ``s`` runs at ``s / warmup_steps``
            of it.
        total_steps (int | None): Step at which the minimum is reached. None: the last
            step of the training, which `set_total_steps` tells.
        min_lr_ratio (float): Minimum as a share of the peak, in [0, 1].
        last_epoch (int): Steps taken, counted from -1 as torch does.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int = 200,
        total_steps: int | None = None,
        min_lr_ratio: float = 0.1,
        last_epoch: int = -1,
    ):
        if warmup_steps < 0 or not 0 <= min_lr_ratio <= 1:
            raise ValueError(
                f"scheduler_conf warmup_steps is {warmup_steps}, min_lr_ratio "
                f"{min_lr_ratio}: the first must be 0 or more, the second in [0, 1]"
            )
        if total_steps is not None and total_steps <= warmup_steps:
            raise ValueError(
                f"scheduler_conf total_steps is {total_steps}, warmup_steps "
                f"{warmup_steps}: the first must be more, or null for all steps"
            )
        self.warmup_steps = warmup_steps
        self.min_lr_ratio = min_lr_ratio
        self.total_steps = total_steps
        super().__init__(optimizer, last_epoch)

    def set_total_steps(self, total_steps: int) -> None:
        """Say how long the training is, unless the configuration does.

        Args:
            total_steps (int): Optimiser steps of the whole training.
        """
        if self.total_steps is not None:
            return
        self.total_steps = total_steps
        if total_steps <= self.warmup_steps:
            logger.warning(
                "The training has %d steps, but scheduler_conf warmup_steps is %d: it "
                "ends before its peak learning rate. Lower warmup_steps.",
                total_steps,
                self.warmup_steps,
            )
        self._set_rates()

    def get_lr(self) -> list[float]:
        """Return the rates of the step that comes next, one of each group."""
        step = self.last_epoch + 1
        if step > 1 and self.total_steps is None:
            raise RuntimeError(
                "warmupcosinelr: nobody knows the number of batches of this training: "
                "give it as scheduler_conf: {total_steps: ...}"
            )
        return [peak * self._compute_share(step) for peak in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps taken."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on behind the steps of a checkpoint.

        Args:
            state_dict (dict): What `state_dict` returned.
        """
        self.last_epoch = state_dict["last_epoch"]
        self._set_rates()

    def _set_rates(self) -> None:
        """Give the optimiser the rates of the step that comes next."""
        self._last_lr = self.get_lr()
        for group, lr in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = lr

    def _compute_share(self, step: int) -> float:
        """Return the rate of a step, counted from 1, as a share of the peak."""
        if step <= self.warmup_steps:
            return step / self.warmup_steps
        if self.total_steps is None:
            return 1.0  # the first step without warm-up, until the length is told
        length = max(1, self.total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / length)
        cosine = (1 + math.cos(math.pi * progress)) / 2
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine
