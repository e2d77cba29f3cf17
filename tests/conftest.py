"""Leaves out the marked tests whose resource this machine does not have."""

import importlib
import os

import pytest


def has_gpu() -> bool:
    """Tell whether torch sees a GPU."""
    return importlib.import_module("torch").cuda.is_available()


HAS_RESOURCE = {
    "gpu": has_gpu,
    "network": lambda: os.environ.get("VIBEVOICE_TEST_NETWORK") == "1",
    "upstream": lambda: bool(os.environ.get("ESPNET_ROOT")),
}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Deselect tests marked gpu, network or upstream where the thing is absent."""
    needed = {m for m in HAS_RESOURCE if any(i.get_closest_marker(m) for i in items)}
    absent = {m for m in needed if not HAS_RESOURCE[m]()}
    left_out = [i for i in items if any(i.get_closest_marker(m) for m in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [i for i in items if i not in left_out]
