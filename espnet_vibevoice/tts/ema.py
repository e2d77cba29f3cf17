"""Exponential moving average of the trained parameters.

Validation, decoding and the parameters' own names in a checkpoint see the average.
Training goes on from the raw weights, which a checkpoint holds beside it under names of
their own, with the count of updates. Factors of LoRA are averaged as they are: those of
neighbouring steps lie close together, unlike those of different epochs.
"""

import logging
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espnet_vibevoice.adapters.plan import is_number
from espnet_vibevoice.adapters.seal import AVERAGE_PREFIX as PREFIX

logger = logging.getLogger(__name__)

COUNT = PREFIX + "updates"
RAW = PREFIX + "raw."


class TrainedAverage:
    """The average of a module's trained parameters.

    The n-th update (from 0) takes ``min(decay, (1 + n) / (10 + n))`` of the average and
    the rest of the new weights, so that the start of training is soon forgotten.

    Args:
        module (nn.Module): What is trained has ``requires_grad`` True now.
        decay (float): Share of the average that an update keeps, above 0 and below 1;
            0.999 looks back about 1000 steps.

    Attributes:
        num_updates (int): Optimiser steps that the average has seen.

    Raises:
        ValueError: If the decay is out of range.
    """

    def __init__(self, module: nn.Module, decay: float):
        if not is_number(decay) or not 0 < decay < 1:
            raise ValueError(
                f"ema_decay is {decay!r}: give a number above 0 and below 1, such as "
                "0.999, or 0 for no average"
            )
        self.decay = decay
        self.num_updates = 0
        self._module = module
        self._is_evaluating = False
        # Whichever of the two the module does not hold: the average in training, the
        # raw weights in evaluation.
        self._held = {
            name: _copy(parameter)
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

    @property
    def names(self) -> frozenset[str]:
        """Names of the parameters that are averaged."""
        return frozenset(self._held)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights that an optimiser step has made.

        Raises:
            RuntimeError: In evaluation, where the module holds the average.
        """
        if self._is_evaluating:
            raise RuntimeError(
                "the average was updated in evaluation mode, where the model holds the "
                "average itself: call train() before optimiser steps"
            )
        ramp = (1 + self.num_updates) / (10 + self.num_updates)
        decay = min(self.decay, ramp)
        for name, parameter in self._parameters().items():
            average = self._held[name].to(parameter.device)
            self._held[name] = average.lerp_(parameter.detach().float(), 1 - decay)
        self.num_updates += 1

    def enter_evaluation(self) -> None:
        """Have the module hold the average; does nothing where it does."""
        if not self._is_evaluating:
            self._swap()
            self._is_evaluating = True

    def leave_evaluation(self) -> None:
        """Have the module hold the raw weights; does nothing where it does."""
        if self._is_evaluating:
            self._swap()
            self._is_evaluating = False

    def averaged(self) -> dict[str, Tensor]:
        """Return the average of each parameter, in either mode."""
        return self._present() if self._is_evaluating else dict(self._held)

    def raw(self) -> dict[str, Tensor]:
        """Return each parameter as the optimiser left it, in either mode."""
        return dict(self._held) if self._is_evaluating else self._present()

    def export(self) -> dict[str, Tensor]:
        """Return what a checkpoint needs besides the average to go on from.

        Returns:
            dict[str, Tensor]: Raw weights and count under names that start with
                ``ema.``; empty before the first update, where all are equal.
        """
        if not self.num_updates:
            return {}
        raw = {RAW + name: value for name, value in self.raw().items()}
        return raw | {COUNT: torch.tensor(self.num_updates)}

    def restore(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take over what a checkpoint holds.

        A checkpoint without average starts one from its weights.

        Args:
            given (Mapping): Averaged parameters under their own names, and what
                `export` gave, if there was an average. All names are there.

        Returns:
            dict[str, Tensor]: What the module is to hold in the mode it is in.
        """
        averaged = {name: given[name] for name in self._held}
        raw = averaged
        if COUNT in given:
            self.num_updates = int(given[COUNT])
            raw = {name: given[RAW + name] for name in self._held}
            logger.info("The average of %d updates goes on", self.num_updates)
        else:
            self.num_updates = 0
            logger.info(
                "The checkpoint has no average: it starts from the weights loaded"
            )
        present, held = (averaged, raw) if self._is_evaluating else (raw, averaged)
        self._held = {name: _copy(value) for name, value in held.items()}
        return present

    @torch.no_grad()
    def _swap(self) -> None:
        """Exchange what the module holds and what is held here, in place."""
        for name, parameter in self._parameters().items():
            value = _copy(parameter)
            parameter.copy_(self._held[name])
            self._held[name] = value

    def _present(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self._parameters().items()}

    def _parameters(self) -> dict[str, nn.Parameter]:
        own = dict(self._module.named_parameters())
        return {name: own[name] for name in self._held}


def _copy(value: Tensor) -> Tensor:
    """Copy to float32 on the same device."""
    return value.detach().to(torch.float32, copy=True)
