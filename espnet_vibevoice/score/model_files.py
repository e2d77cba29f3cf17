"""Files of ESPnet models: what loading raises, and whether they fit together."""

import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
import typeguard
import yaml

# What files that are damaged, missing or of another model lead to.
LOADING_ERRORS = (
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    typeguard.TypeCheckError,
    yaml.YAMLError,
    zipfile.BadZipFile,
)


def check_weights(model_file: str | Path, wanted: Iterable[str], config: str) -> None:
    """Refuse weights of another model, which ESPnet loads without a word.

    Args:
        model_file (str | Path): Checkpoint; its tensors are mapped, not read.
        wanted (Iterable[str]): Names of the weights that the model has to have.
        config (str): Where the model is described, for the message.

    Raises:
        ValueError: Some are not in the checkpoint.
    """
    stored = torch.load(model_file, map_location="cpu", mmap=True, weights_only=True)
    wanted = set(wanted)
    if lacking := sorted(wanted - stored.keys()):
        raise ValueError(
            f"{model_file} lacks {len(lacking)} of {len(wanted)} weights that {config} "
            f"asks for, e.g. {lacking[0]}: give files of one training"
        )
