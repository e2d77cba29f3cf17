"""Estimates of the remaining time, by a clock that the test moves."""

import pytest

from espnet_vibevoice.tts.remaining_time import RemainingTime


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_tell_first_epoch_scales_the_steps_so_far(clock):
    remaining = RemainingTime(max_epoch=3, clock=clock)
    remaining.start_epoch(1, 10)
    clock.now += 20
    told = "remaining time: epoch 1 minute and 20 seconds, training 4 minutes and 40"
    assert remaining.tell(2).startswith(told)


def test_tell_counts_validation_as_it_took_the_last_time(clock):
    remaining = RemainingTime(max_epoch=3, clock=clock)
    remaining.start_epoch(1, 10)
    clock.now += 100
    remaining.end_epoch(10)
    clock.now += 30
    remaining.start_epoch(2, 10)
    clock.now += 50
    # 5 steps of 10 s, validation, 10 steps and validation
    told = "remaining time: epoch 50 seconds, training 3 minutes and 30 seconds"
    assert remaining.tell(5) == told


def test_tell_unknown_number_of_steps_waits_for_the_first_epoch(clock):
    remaining = RemainingTime(max_epoch=2, clock=clock)
    remaining.start_epoch(1, None)
    assert remaining.tell(1) == "remaining time: known after the first epoch"
    remaining.end_epoch(4)
    remaining.start_epoch(2, None)
    clock.now += 5
    told = "remaining time: epoch 15 seconds, training 15 seconds"
    assert remaining.tell(1) == told
