"""Put checkpoints right that were half written when training was killed.

ESPnet writes ``checkpoint.pth`` and then ``Nepoch.pth`` straight to their names. The
first holds everything, so a damaged ``Nepoch.pth`` of the last epoch is written again
from it. A damaged ``checkpoint.pth`` is moved aside and training starts anew.
"""

import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)


def mend_checkpoints(experiment: Path) -> list[str]:
    """Mend the checkpoints of an experiment, if there are any.

    Args:
        experiment (Path): Folder with ``checkpoint.pth``.

    Returns:
        list[str]: What was done, one sentence each.
    """
    checkpoint = experiment / "checkpoint.pth"
    if not checkpoint.is_file():
        return []
    states = read_checkpoint(checkpoint)
    if states is None:
        broken = checkpoint.with_name("checkpoint.pth.broken")
        os.replace(checkpoint, broken)
        return [
            f"{checkpoint} was cut off by a kill and is now {broken.name}: training "
            "starts again from epoch 1; to start from the last whole epoch give "
            "--train_args '--init_param EXP/Nepoch.pth'"
        ]
    epoch = states["reporter"]["epoch"]
    model_file = experiment / f"{epoch}epoch.pth"
    if model_file.is_file() and read_checkpoint(model_file) is not None:
        return []
    temporary = experiment / f".{model_file.name}.tmp"
    torch.save(states["model"], temporary)
    os.replace(temporary, model_file)
    return [f"{model_file} was missing or cut off: written again from checkpoint.pth"]


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """Load a checkpoint; None if it is cut off."""
    # torch.save writes a zip archive, whose directory comes last
    if not zipfile.is_zipfile(path):
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as err:
        logger.warning("%s cannot be read: %s", path, err)
        return None
