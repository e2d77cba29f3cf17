"""Work beside the training draws from states of its own."""

import random

import numpy as np
import pytest
import torch

from espnet_vibevoice.tts.random_states import keep_random_states, work_under_own_seed


def draw():
    return random.random(), np.random.random(), torch.rand(()).item()


def seed_all():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def test_keep_random_states_draws_go_on_as_if_nothing_had_been():
    seed_all()
    wanted = draw()
    seed_all()
    with keep_random_states():
        draw()
    assert draw() == wanted
    seed_all()
    with pytest.raises(RuntimeError, match="inside"), keep_random_states():
        draw()
        raise RuntimeError("inside")
    assert draw() == wanted


def load_numbers(count):
    for _ in range(count):
        yield torch.initial_seed(), torch.rand(()).item()


def run_epoch(seed):
    torch.manual_seed(5)
    loaded, worked = [], []
    for item in work_under_own_seed(load_numbers(3), seed):
        loaded.append(item)
        worked.append(torch.rand(()).item())
    return loaded, worked


def test_work_under_own_seed_loading_is_shared_and_work_is_not():
    torch.manual_seed(5)
    plain = list(load_numbers(3))
    first, second = run_epoch(10), run_epoch(11)
    assert first[0] == second[0] == plain
    assert not set(first[1]) & set(second[1])
    assert run_epoch(10) == first
    torch.manual_seed(10)
    assert first[1] == torch.stack([torch.rand(()) for _ in range(3)]).tolist()
