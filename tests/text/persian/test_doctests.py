"""Runs the examples of all docstrings of the front end."""

import doctest
import importlib
import pkgutil

import pytest

from espnet_vibevoice.text import lines, persian
from espnet_vibevoice.text.persian import normalizer

MODULES = [
    lines.__name__,
    *(
        f"{persian.__name__}.{info.name}"
        for info in pkgutil.iter_modules(persian.__path__)
    ),
]


@pytest.mark.parametrize("name", MODULES)
def test_module_examples_give_what_they_say(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("step", [step for step, _ in normalizer.STEPS])
def test_step_has_an_example(step):
    assert ">>> " in step.__doc__
