"""Tiny models and bases, what is made once a run, and which tests run, in what order.

Marked tests whose resource is not there are left out.
"""

import copy
import importlib
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.tiny_models import (
    MULTISPEAKER_SPECIAL,
    NEGATIVE_PROMPT_ID,
    NUM_BYTES,
    ORIGINAL,
    make_exact_model,
    make_multispeaker_original,
    make_tiny_model,
    make_tiny_multispeaker,
    save_byte_tokenizer,
)

# Workers share the cores: with a thread per core each, those that wait for each other
# take the time of those that work. Sums have one order, too. Read when torch starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background commands with Ctrl-C ignored, and children inherit that;
# tests that send it need the usual handler.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def has_gpu() -> bool:
    """Tell whether torch sees a GPU."""
    return importlib.import_module("torch").cuda.is_available()


def pytest_runtest_setup() -> None:
    """Start each test, and the fixtures made for it, from one state of the generators.

    Without it a test that draws (a new LoRA factor, say) depends on what its worker
    ran before.
    """
    random.seed(0)
    importlib.import_module("numpy").random.seed(0)
    importlib.import_module("torch").manual_seed(0)


HAS_RESOURCE = {
    "gpu": has_gpu,
    "browser": lambda: bool(shutil.which("chromium") and shutil.which("chromedriver")),
    "network": lambda: os.environ.get("VIBEVOICE_TEST_NETWORK") == "1",
    "upstream": lambda: bool(os.environ.get("ESPNET_ROOT")),
}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Put recipes first; leave out tests whose resource is absent.

    Recipes take minutes: begun last, one worker would end long after the others. Left
    out tests of a browser say so.
    """
    items.sort(key=lambda item: item.path.parent.name != "recipe")  # else as before
    needed = {m for m in HAS_RESOURCE if any(i.get_closest_marker(m) for i in items)}
    absent = {m for m in needed if not HAS_RESOURCE[m]()}
    if "browser" in absent:
        absent.remove("browser")
        skip = pytest.mark.skip(reason="chromium or chromedriver is not installed")
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(skip)
    left_out = [i for i in items if any(i.get_closest_marker(m) for m in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [i for i in items if i not in left_out]


@pytest.fixture(scope="session")
def make_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], None]], Path]:
    """Give what makes a folder that all workers of a run share.

    Called with the name of the folder and a function that fills it. The worker that
    comes first fills it; the others wait. Tests must leave it as it is.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, mark = shared / name, shared / f"{name}.made"
        with FileLock(shared / f"{name}.lock"):
            if not mark.is_file():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that was ended
                folder.mkdir()
                fill(folder)
                mark.touch()
        return folder

    return make


@pytest.fixture
def original() -> dict:
    """Give a tiny configuration in the original form; a test may change it."""
    return copy.deepcopy(ORIGINAL)


@pytest.fixture
def tiny_model(original):
    """Make a tiny realtime model with random weights and a calibrated codec."""
    return make_tiny_model(original, NEGATIVE_PROMPT_ID)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    """Write a tiny base with a tokenizer of bytes; tests must not change it."""
    folder = tmp_path_factory.mktemp("tiny") / "base"
    folder.mkdir()
    save_byte_tokenizer(folder, ["<|endoftext|>", "<|image_pad|>"])
    original = copy.deepcopy(ORIGINAL)
    original["decoder_config"]["vocab_size"] = 264
    make_tiny_model(original, NUM_BYTES + 1).save(folder)
    return folder


@pytest.fixture
def multispeaker_original() -> dict:
    """Give a tiny configuration of the other family; a test may change it."""
    return make_multispeaker_original()


@pytest.fixture
def build_multispeaker():
    """Give the function that makes a multi-speaker model of a configuration."""
    return make_tiny_multispeaker


@pytest.fixture
def tiny_multispeaker(multispeaker_original):
    """Make a tiny 1.5B-like model with random weights and calibrated encoders."""
    return make_tiny_multispeaker(multispeaker_original)


@pytest.fixture(scope="session")
def tiny_multispeaker_base(tmp_path_factory):
    """Write such a model with a tokenizer of bytes; tests must not change it."""
    folder = tmp_path_factory.mktemp("multispeaker") / "base"
    folder.mkdir()
    save_byte_tokenizer(folder, MULTISPEAKER_SPECIAL)
    make_tiny_multispeaker(make_multispeaker_original()).save(folder)
    return folder


@pytest.fixture(scope="session")
def exact_bases(tmp_path_factory):
    """Write two bases whose codecs reconstruct exactly, each in its own latent space.

    Sizes are equal, so only listening tells that the encoder of one does not fit the
    decoder of the other. Tests must not change them.
    """
    folder = tmp_path_factory.mktemp("exact")
    for seed, name in enumerate("ab"):
        make_exact_model(seed).save(folder / name)
    return folder / "a", folder / "b"


@pytest.fixture(scope="session")
def speech_scp(tmp_path_factory):
    """Write wav.scp of three seconds-long voices with syllables, pauses and pitch."""
    import numpy as np
    import soundfile

    folder = tmp_path_factory.mktemp("speech")
    lines = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        times = np.arange(24000 + 8000 * seed) / 24000
        pitch = 120 + 40 * seed + 30 * np.sin(2 * np.pi * 1.3 * times)
        phase = 2 * np.pi * np.cumsum(pitch) / 24000
        voice = sum(np.sin(k * phase) / k**1.5 for k in range(1, 25))
        syllables = np.maximum(np.sin(2 * np.pi * 3 * times + seed), 0) ** 2
        wave = 0.1 * syllables * voice + 0.001 * rng.normal(size=len(times))
        path = folder / f"s{seed}.wav"
        soundfile.write(path, wave, 24000)
        lines.append(f"s{seed} {path}\n")
    (folder / "wav.scp").write_text("".join(lines), encoding="utf-8")
    return folder / "wav.scp"
