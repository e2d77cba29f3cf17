"""Speed, padding and memory of each training step, as statistics for ESPnet's reporter.

What the reporter is told it carries into the log, TensorBoard, the curves and W&B. A
step ends with `SubReporter.next`; there its figures are registered. They carry weights
(seconds, positions), so that the mean over steps is the ratio of the sums.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from espnet2.train.reporter import SubReporter

from espnet_vibevoice.tts.random_states import work_under_own_seed
from espnet_vibevoice.tts.remaining_time import RemainingTime

Batch = tuple[list[str], dict[str, torch.Tensor]]
# What stands one behind the other in a row of the language model.
LENGTHS = (
    "text_lengths",
    "speech_lengths",
    "prompt_text_lengths",
    "prompt_feats_lengths",
)


@dataclass(frozen=True)
class BatchSize:
    """What a batch holds.

    Args:
        frames (int): Frames to learn.
        positions (int): Positions of the language model: text and frames, those of
            voice prompts included.
        padded_positions (int): The same with padding: rows times the longest row.
    """

    frames: int
    positions: int
    padded_positions: int

    @classmethod
    def of(cls, batch: dict[str, torch.Tensor]) -> "BatchSize":
        """Measure a batch.

        Args:
            batch (dict): As the collate function makes it: lengths are int64 (B,).
        """
        lengths = [batch[name] for name in LENGTHS if name in batch]
        rows = torch.stack(lengths).sum(0)  # (B,)
        return cls(
            frames=int(batch["speech_lengths"].sum()),
            positions=int(rows.sum()),
            padded_positions=len(rows) * int(rows.max()),
        )


class StepMeter:
    """Counts and times the steps of one epoch of one process.

    Args:
        device (torch.device): Where the model is.
        is_distributed (bool): Whether to add up what all processes count.
        clock (Callable): Gives the time in seconds.
    """

    def __init__(
        self,
        device: torch.device,
        is_distributed: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._device = device
        self._is_distributed = is_distributed
        self._clock = clock
        self._began = clock()
        self._size = BatchSize(0, 0, 0)

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Let batches through and note the size of each; loading counts as time.

        Args:
            batches (Iterable): Ids and tensors of each batch.

        Yields:
            tuple: The same.
        """
        for utt_ids, batch in batches:
            self._size = BatchSize.of(batch)
            yield utt_ids, batch

    def register(self, reporter: SubReporter) -> None:
        """Tell the reporter about the step that ends now, and begin the next.

        Args:
            reporter (SubReporter): Gets ``frames_per_sec``, ``tokens_per_sec``,
                ``padding_share`` and ``max_memory_GB``.
        """
        now = self._clock()
        seconds, self._began = now - self._began, now
        frames, positions, padded = self._add_up()
        speed = {
            "frames_per_sec": frames / seconds,
            "tokens_per_sec": positions / seconds,
        }
        reporter.register(speed, seconds)
        reporter.register({"padding_share": 1 - positions / padded}, padded)
        reporter.register({"max_memory_GB": measure_memory(self._device)})

    def _add_up(self) -> list[int]:
        size = self._size
        counts = [size.frames, size.positions, size.padded_positions]
        if self._is_distributed:
            total = torch.tensor(counts, device=self._device)
            torch.distributed.all_reduce(total)
            counts = total.tolist()
        return counts


class WatchedBatches:
    """The batches of an epoch under a meter, with their number where it is known.

    Args:
        batches (Iterable): What ESPnet's iterator factory made.
        meter (StepMeter): Notes the sizes.
        seed (int): Seed of what this process draws between two batches.
    """

    def __init__(self, batches: Iterable[Batch], meter: StepMeter, seed: int):
        self._batches = batches
        self._meter = meter
        self._seed = seed

    def __iter__(self) -> Iterator[Batch]:
        """Give the batches."""
        return self._meter.watch(work_under_own_seed(self._batches, self._seed))

    def __len__(self) -> int:
        """Count the batches.

        Raises:
            TypeError: If nobody knows; ESPnet expects that.
        """
        return len(self._batches)


class StepReporter(SubReporter):
    """ESPnet's reporter of one epoch, told about speed, and telling what is left.

    It writes into the statistics of the reporter that ESPnet made. `hand_back` gives
    that one the counts as well.

    Args:
        reporter (SubReporter): ESPnet's.
        meter (StepMeter): Measures the steps.
        remaining (RemainingTime): Knows the time left.
    """

    def __init__(
        self, reporter: SubReporter, meter: StepMeter, remaining: RemainingTime
    ):
        super().__init__(reporter.key, reporter.epoch, reporter.total_count)
        self.stats = reporter.stats
        self._reporter = reporter
        self._meter = meter
        self._remaining = remaining

    def next(self) -> None:
        """Close a step."""
        self._meter.register(self)
        super().next()

    def log_message(self, start: int | None = None, end: int | None = None) -> str:
        """Return ESPnet's line on the latest steps, with the remaining time."""
        message = super().log_message(start, end)
        return f"{message}, {self._remaining.tell(self.count)}" if message else ""

    def hand_back(self) -> None:
        """Give ESPnet's reporter the number of steps."""
        self._reporter.count = self.count
        self._reporter.total_count = self.total_count


def measure_memory(device: torch.device) -> float:
    """Return the most memory used so far, in units of 2**30 bytes as in ESPnet.

    Args:
        device (torch.device): A GPU: tensors on it; the CPU: this process.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    num_bytes = peak if sys.platform == "darwin" else peak * 1024
    return num_bytes / 2**30
