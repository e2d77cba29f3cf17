"""Which work draws from which state of the random generators."""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")


@contextmanager
def keep_random_states() -> Iterator[None]:
    """Put the states of Python's, NumPy's and torch's generators back at the end."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    is_on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    devices = [torch.cuda.current_device()] if is_on_gpu else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def work_under_own_seed(items: Iterable[T], seed: int) -> Iterator[T]:
    """Load items under the present state of torch's generator, work under a seed.

    ESPnet seeds all processes alike. Loading has to stay so, because what is drawn for
    an utterance follows from that seed; dropout must differ between processes.

    Args:
        items (Iterable): What is loaded when it is asked for.
        seed (int): Seed of what is done between two items.

    Yields:
        T: The items.
    """
    loading = torch.get_rng_state()
    torch.manual_seed(seed)
    working = torch.get_rng_state()
    torch.set_rng_state(loading)
    for item in items:
        loading = torch.get_rng_state()
        torch.set_rng_state(working)
        yield item
        working = torch.get_rng_state()
        torch.set_rng_state(loading)
