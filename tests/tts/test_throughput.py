"""Speed, padding and memory as the reporter gets them."""

import pytest
import torch
from espnet2.train.reporter import Reporter

from espnet_vibevoice.tts.remaining_time import RemainingTime
from espnet_vibevoice.tts.throughput import (
    BatchSize,
    StepMeter,
    StepReporter,
    WatchedBatches,
    measure_memory,
)

CPU = torch.device("cpu")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_batch(text, speech, prompt_feats=None):
    batch = {
        "text_lengths": torch.tensor(text),
        "speech_lengths": torch.tensor(speech),
    }
    if prompt_feats is not None:
        batch["prompt_text_lengths"] = torch.zeros(len(text), dtype=torch.long)
        batch["prompt_feats_lengths"] = torch.tensor(prompt_feats)
    return ["u"] * len(text), batch


@pytest.mark.parametrize(
    ("batch", "wanted"),
    [
        (make_batch([2, 3], [4, 9]), BatchSize(13, 18, 24)),
        (make_batch([2, 3], [4, 9], [20, 0]), BatchSize(13, 38, 52)),
    ],
)
def test_batch_size_counts_rows_with_prompts(batch, wanted):
    assert BatchSize.of(batch[1]) == wanted


def run_epoch(batches, seconds):
    """Run steps that take some seconds each; return the statistics of the epoch."""
    clock = Clock()
    meter = StepMeter(CPU, clock=clock)
    reporter = Reporter()
    reporter.set_epoch(1)
    with reporter.observe("train") as sub_reporter:
        steps = StepReporter(sub_reporter, meter, RemainingTime(1, clock))
        watched = WatchedBatches(batches, meter, seed=0)
        for _, taken in zip(
            steps.measure_iter_time(watched, "iter_time"), seconds, strict=True
        ):
            clock.now += taken
            steps.register({"loss": 1.0})
            steps.next()
        steps.hand_back()
    return reporter.stats[1]["train"]


def test_epoch_means_are_ratios_of_sums():
    batches = [make_batch([2, 3], [4, 9]), make_batch([1], [7])]
    stats = run_epoch(batches, [1.0, 3.0])
    assert stats["frames_per_sec"] == pytest.approx(20 / 4)
    assert stats["tokens_per_sec"] == pytest.approx(26 / 4)
    assert stats["padding_share"] == pytest.approx(1 - 26 / 32)
    assert stats["total_count"] == 2
    assert stats["max_memory_GB"] > 0.01


def test_log_message_ends_with_the_remaining_time():
    reporter = Reporter(1).start_epoch("train")
    remaining = RemainingTime(1)
    remaining.start_epoch(1, 1)
    meter = StepMeter(CPU)
    steps = StepReporter(reporter, meter, remaining)
    assert steps.log_message() == ""
    assert len(list(meter.watch([make_batch([1], [2])]))) == 1
    steps.register({"loss": 0.5})
    steps.next()
    line = steps.log_message(-1)
    assert line.startswith("1epoch:train:1-1batch: loss=0.500")
    assert line.endswith(", remaining time: epoch 0 seconds, training 0 seconds")


def test_watched_batches_tell_their_number_where_it_is_known():
    meter = StepMeter(CPU)
    assert len(WatchedBatches([make_batch([1], [1])] * 3, meter, seed=0)) == 3
    with pytest.raises(TypeError):
        len(WatchedBatches(iter([]), meter, seed=0))


def test_measure_memory_is_the_peak_of_this_process():
    before = measure_memory(CPU)
    block = torch.ones(40 * 2**20)  # 160 MiB, touched
    after = measure_memory(CPU)
    assert 0.05 < before < 100
    assert after >= before and after >= block.numel() * 4 / 2**30
