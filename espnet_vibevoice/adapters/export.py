"""An experiment's adapter as a folder for other people: weights, description, card."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.card import CardText, read_training_figures, write_card
from espnet_vibevoice.adapters.experiment import (
    CONFIG_NAME,
    find_checkpoint,
    read_checkpoint,
    read_config,
)
from espnet_vibevoice.adapters.folder import read_adapter, write_adapter
from espnet_vibevoice.adapters.new_folder import make_new_folder
from espnet_vibevoice.models.fingerprint import find_revision

logger = logging.getLogger(__name__)

# What a configuration says about the machine of the training, by ends of keys.
_LISTS_OF_PATHS = ("_data_path_and_name_and_type", "_shape_file", "init_param")
_PATHS = ("output_dir", "config", "dist_init_method", "wandb_entity", "wandb_id")


def export_adapter(
    source: Path,
    out: Path,
    *,
    checkpoint: str | None = None,
    layout: str = "peft",
    text: CardText | None = None,
) -> Adapter:
    """Export an adapter; what was written is read back and compared.

    Args:
        source (Path): Experiment, or an adapter in any layout.
        out (Path): Folder to make.
        checkpoint (str | None): File of the experiment; None: the best one.
        layout (str): peft | community.
        text (CardText | None): Title and licence of the card.

    Returns:
        Adapter: What was exported.

    Raises:
        FileExistsError: If ``out`` holds something.
        FileNotFoundError: If there is no such adapter or checkpoint.
        ValueError: If it is damaged, changes nothing, or the layout has no place for
            one of its parts.
    """
    if checkpoint is None:
        adapter = read_adapter(source)
    else:
        adapter = read_checkpoint(find_checkpoint(source, checkpoint))
    refuse_silent(adapter)
    adapter = _add_revision(adapter)
    folder = source.parent if source.is_file() else source
    has_config = (folder / CONFIG_NAME).is_file()
    config = read_config(folder) if has_config else None
    figures = read_training_figures(folder)
    with make_new_folder(out) as temporary:
        write_adapter(adapter, temporary, layout)
        if config is not None:
            shared = yaml.safe_dump(leave_out_paths(config), sort_keys=False)
            (temporary / CONFIG_NAME).write_text(shared, encoding="utf-8")
        card = write_card(adapter, text or CardText(), layout, config, figures)
        (temporary / "README.md").write_text(card, encoding="utf-8")
        if not are_equal(read_adapter(temporary), adapter):
            raise RuntimeError(
                f"{out}: what was written is not what was read. Check the disk and "
                "run again."
            )
    return adapter


def leave_out_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Empty the entries of a configuration that name files of the training's machine.

    Args:
        config (Mapping): As ESPnet wrote it.

    Example:
        >>> leave_out_paths({"max_epoch": 3, "train_shape_file": ["/data/shape"]})
        {'max_epoch': 3, 'train_shape_file': []}
    """
    shared = dict(config)
    for key in shared:
        if key.endswith(_LISTS_OF_PATHS):
            shared[key] = []
        elif key in _PATHS:
            shared[key] = None
    return shared


def refuse_silent(adapter: Adapter) -> None:
    """Refuse an adapter whose LoRA changes nothing in a part.

    Raises:
        ValueError: If B is zero in all layers of a part.
    """
    for part, layers in adapter.lora.items():
        if not any(factors.b.any() for factors in layers.values()):
            raise ValueError(
                f"LoRA of {part} changes nothing: B is zero in all {len(layers)} "
                "layers. Export a later checkpoint, and check that its loss went down."
            )


def are_equal(first: Adapter, second: Adapter) -> bool:
    """Tell whether two adapters are of one base and plan and equal to the bit."""
    names = ("model_type", "base", "base_fingerprint", "base_revision", "plan")
    if any(vars(first)[name] != vars(second)[name] for name in names):
        return False
    tensors, others = _list_tensors(first), _list_tensors(second)
    return tensors.keys() == others.keys() and all(
        torch.equal(tensor, others[name]) for name, tensor in tensors.items()
    )


def _list_tensors(adapter: Adapter) -> dict[tuple[str, ...], torch.Tensor]:
    """Name every tensor of an adapter."""
    tensors = {}
    for part, layers in adapter.lora.items():
        for path, factors in layers.items():
            for kind, tensor in factors._asdict().items():
                if tensor is not None:
                    tensors[(part, path, kind)] = tensor
    for part, weights in adapter.full.items():
        for name, tensor in weights.items():
            tensors[(part, name)] = tensor
    return tensors


def _add_revision(adapter: Adapter) -> Adapter:
    """Find the commit of a base on the hub, where it is not known."""
    if adapter.base_revision is not None or Path(adapter.base).exists():
        return adapter
    try:
        revision = find_revision(adapter.base)
    except FileNotFoundError as err:
        logger.warning("the revision of the base is left out: %s", err)
        return adapter
    return dataclasses.replace(adapter, base_revision=revision)
