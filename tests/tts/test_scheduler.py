"""Warm-up and half a cosine by step, and what a checkpoint keeps of it."""

import logging

import pytest
import torch

from espnet_vibevoice.tts.scheduler import WarmupCosineLR

PEAK = 0.01


def make_scheduler(**settings):
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": PEAK / 2}]
    return WarmupCosineLR(torch.optim.SGD(groups, lr=PEAK), **settings)


def run_steps(scheduler, count):
    """Return the rate that each step runs at."""
    rates = []
    for _ in range(count):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def test_curve_rises_to_the_peak_falls_to_the_minimum_and_stays():
    scheduler = make_scheduler(warmup_steps=4, total_steps=12, min_lr_ratio=0.1)
    rates = run_steps(scheduler, 15)
    assert rates[:4] == pytest.approx([PEAK / 4, PEAK / 2, 3 * PEAK / 4, PEAK])
    assert rates[7] == pytest.approx(0.55 * PEAK)  # step 8, half of the way down
    assert rates[11:] == pytest.approx([0.1 * PEAK] * 4)
    assert all(a > b for a, b in zip(rates[3:11], rates[4:12], strict=True))


def test_curve_keeps_the_ratio_of_groups():
    scheduler = make_scheduler(warmup_steps=2, total_steps=9)
    for _ in range(9):
        scheduler.optimizer.step()
        scheduler.step()
        first, second = scheduler.optimizer.param_groups
        assert second["lr"] == pytest.approx(first["lr"] / 2)


def test_set_total_steps_fills_in_what_the_configuration_leaves_open():
    wanted = run_steps(make_scheduler(warmup_steps=0, total_steps=6), 6)
    scheduler = make_scheduler(warmup_steps=0)
    scheduler.set_total_steps(6)
    assert run_steps(scheduler, 6) == wanted
    given = make_scheduler(warmup_steps=0, total_steps=6)
    given.set_total_steps(100)
    assert run_steps(given, 6) == wanted


def test_set_total_steps_within_the_warm_up_warns(caplog):
    with caplog.at_level(logging.WARNING):
        make_scheduler(warmup_steps=10).set_total_steps(5)
    assert "has 5 steps, but scheduler_conf warmup_steps is 10" in caplog.text


def test_step_without_a_length_raises():
    with pytest.raises(RuntimeError, match="scheduler_conf: {total_steps: ...}"):
        run_steps(make_scheduler(warmup_steps=3), 2)


@pytest.mark.parametrize("stop", [1, 3, 7])
def test_resume_goes_on_along_the_same_curve(stop):
    settings = {"warmup_steps": 3, "total_steps": 10}
    wanted = run_steps(make_scheduler(**settings), 10)
    first = make_scheduler(**settings)
    rates = run_steps(first, stop)
    second = make_scheduler(**settings)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert rates + run_steps(second, 10 - stop) == wanted


def test_resume_with_more_epochs_follows_the_longer_curve():
    first = make_scheduler(warmup_steps=2)
    first.set_total_steps(5)
    run_steps(first, 5)
    second = make_scheduler(warmup_steps=2)
    second.set_total_steps(20)
    second.load_state_dict(first.state_dict())
    longer = make_scheduler(warmup_steps=2, total_steps=20)
    assert run_steps(second, 15) == run_steps(longer, 20)[5:]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup_steps": -1}, "warmup_steps is -1"),
        ({"min_lr_ratio": 1.5}, "min_lr_ratio 1.5: .* the second in"),
        ({"warmup_steps": 9, "total_steps": 9}, "total_steps is 9, warmup_steps 9"),
    ],
)
def test_init_setting_out_of_range_raises(settings, message):
    with pytest.raises(ValueError, match=message):
        make_scheduler(**settings)
