"""How long an epoch and the whole training will still take.

ESPnet tells the rest of the training once an epoch. With epochs of hours one wants to
know earlier.
"""

import time
from collections.abc import Callable

import humanfriendly


class RemainingTime:
    """Estimates from the steps made so far.

    What lies between the training of two epochs (validation, samples, checkpoints) is
    counted as it took the last time.

    Args:
        max_epoch (int): Epochs of the training.
        clock (Callable): Gives the time in seconds.
    """

    def __init__(self, max_epoch: int, clock: Callable[[], float] = time.perf_counter):
        self._max_epoch = max_epoch
        self._clock = clock
        self._epoch = 0
        self._num_steps: int | None = None
        self._began = 0.0
        self._ended: float | None = None
        self._between_sec = 0.0

    def start_epoch(self, epoch: int, num_steps: int | None) -> None:
        """Begin the training of an epoch.

        Args:
            epoch (int): Its number, from 1.
            num_steps (int | None): Batches it has; None: nobody knows, and as many as
                in the epoch before are assumed.
        """
        self._began = self._clock()
        if self._ended is not None:
            self._between_sec = self._began - self._ended
        self._epoch = epoch
        self._num_steps = self._num_steps if num_steps is None else num_steps

    def end_epoch(self, num_steps: int) -> None:
        """End the training of an epoch.

        Args:
            num_steps (int): Batches it had.
        """
        self._ended = self._clock()
        self._num_steps = num_steps

    def tell(self, step: int) -> str:
        """Say what is left after a step of the current epoch.

        Args:
            step (int): Batches done in this epoch, at least 1.

        Returns:
            str: Rest of the epoch and of the whole training, in words.
        """
        if self._num_steps is None:
            return "remaining time: known after the first epoch"
        step_sec = (self._clock() - self._began) / step
        epoch_sec = step_sec * max(0, self._num_steps - step)
        later_sec = step_sec * self._num_steps + self._between_sec
        total_sec = epoch_sec + self._between_sec
        total_sec += later_sec * (self._max_epoch - self._epoch)
        return (
            f"remaining time: epoch {_format(epoch_sec)}, training {_format(total_sec)}"
        )


def _format(seconds: float) -> str:
    return humanfriendly.format_timespan(round(seconds), max_units=2)
