"""An adapter as a folder: written once, read from every form there is.

Our folder has ``vibevoice_adapter.json``, which says for which base the adapter is and
how each part was trained, and the weights in one of two layouts. ``peft``: for a part
with LoRA a folder as peft writes it, with paths as transformers has them, and for a
part trained in full ``<part>.safetensors`` with names of the original checkpoint.
``community``: see `community`. Experiments and folders of other tools are read as well.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.community import (
    find_community_root,
    read_community,
    rename_weights,
    restore_weights,
    write_community,
)
from espnet_vibevoice.adapters.experiment import find_checkpoint, read_checkpoint
from espnet_vibevoice.adapters.parts import get_family
from espnet_vibevoice.adapters.peft_folder import (
    CONFIG_NAME,
    PeftFolder,
    read_json,
    read_peft_folder,
    write_peft_folder,
)
from espnet_vibevoice.adapters.plan import LoraSettings, TrainingPlan
from espnet_vibevoice.adapters.tensor_files import load_tensors, save_tensors
from espnet_vibevoice.models.base_folder import resolve_base

DESCRIPTION_NAME = "vibevoice_adapter.json"
FORMAT_VERSION = 1
LAYOUTS = ("peft", "community")
_LANGUAGE_MODEL_CLASS = "Qwen2Model"


def write_adapter(adapter: Adapter, folder: Path, layout: str = "peft") -> None:
    """Write an adapter into a folder.

    Args:
        adapter (Adapter): The adapter.
        folder (Path): Folder, made if absent; it should be empty.
        layout (str): peft | community.

    Raises:
        ValueError: If there is no such layout, or it has no place for a part.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r}: choose one of {', '.join(LAYOUTS)}.")
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "community":
        write_community(adapter, folder)
    else:
        _write_peft_layout(adapter, folder)
    text = json.dumps(describe_adapter(adapter, layout), indent=2) + "\n"
    (folder / DESCRIPTION_NAME).write_text(text, encoding="utf-8")


def read_adapter(path: Path, model_type: str = "vibevoice") -> Adapter:
    """Read an adapter.

    Args:
        path (Path): Folder that `write_adapter` wrote, folder of a community tool,
            experiment folder (its best checkpoint is taken), or an experiment's
            ``.pth`` file with ``config.yaml`` beside it.
        model_type (str): Family of a community folder, which does not tell.

    Returns:
        Adapter: On the CPU.

    Raises:
        FileNotFoundError: If there is nothing of the kind, or a file is missing.
        ValueError: If a file is damaged or does not fit the others.
    """
    path = Path(path)
    if path.is_file():
        return read_checkpoint(path)
    if (path / DESCRIPTION_NAME).is_file():
        return _read_described(path)
    root = find_community_root(path)
    if root is not None:
        return read_community(root, model_type)
    if (path / "config.yaml").is_file():
        return read_checkpoint(find_checkpoint(path))
    raise FileNotFoundError(
        f"{path}: no adapter: there is neither {DESCRIPTION_NAME}, nor {CONFIG_NAME} "
        "of a community adapter, nor config.yaml of an experiment. Give a folder with "
        "one of them, or a .pth file of an experiment."
    )


def read_adapter_for(base: str, path: Path) -> Adapter:
    """Read an adapter that is to be loaded on a base.

    Args:
        base (str): The base; a community folder is taken to be of its family.
        path (Path): See `read_adapter`, whose errors it raises too.

    Raises:
        FileNotFoundError: If there is no such base.
    """
    config = read_json(resolve_base(base) / "config.json")
    return read_adapter(path, str(config.get("model_type")))


def describe_adapter(adapter: Adapter, layout: str) -> dict[str, Any]:
    """Return the content of ``vibevoice_adapter.json``."""
    plan = adapter.plan
    return {
        "format_version": FORMAT_VERSION,
        "layout": layout,
        "model_type": adapter.model_type,
        "base": adapter.base,
        "base_revision": adapter.base_revision,
        "base_fingerprint": adapter.base_fingerprint,
        "strategy": plan.strategy,
        "full": list(plan.full),
        "lora": {part: dataclasses.asdict(own) for part, own in plan.lora.items()},
        "frozen_head_layers": list(plan.frozen_head_layers),
    }


def _write_peft_layout(adapter: Adapter, folder: Path) -> None:
    """Write a folder for each part with LoRA, a file for each part in full."""
    for part, layers in adapter.lora.items():
        settings = adapter.plan.lora[part]
        is_language_model = part.endswith("language_model")
        write_peft_folder(
            PeftFolder(settings, layers, adapter.base),
            folder / part,
            targets=settings.targets if is_language_model else layers,
            module_class=_LANGUAGE_MODEL_CLASS if is_language_model else None,
        )
    for part, weights in adapter.full.items():
        save_tensors(rename_weights(part, weights), folder / f"{part}.safetensors")


def _read_described(folder: Path) -> Adapter:
    """Read a folder with our description."""
    path = folder / DESCRIPTION_NAME
    content = read_json(path)
    if content.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path}: format version {content.get('format_version')!r}, this program "
            f"reads {FORMAT_VERSION}. Take the version of espnet_vibevoice that wrote "
            "it, or export the adapter again."
        )
    try:
        layout = content["layout"]
        plan = _parse_plan(content)
        model_type, base = content["model_type"], content["base"]
        known = content["base_fingerprint"], content["base_revision"]
    except (KeyError, TypeError, ValueError) as err:
        raise ValueError(
            f"{path}: damaged ({type(err).__name__}: {err}). Export the adapter again."
        ) from err
    if layout == "community":
        root = find_community_root(folder)
        if root is None:
            raise FileNotFoundError(f"{folder}: lora/ is missing. Copy it again.")
        found = read_community(root, model_type)
    else:
        found = _read_peft_layout(folder, model_type, base, plan)
    _check_settings(path, plan, found.plan)
    return Adapter(model_type, base, known[0], plan, found.lora, found.full, known[1])


def _parse_plan(content: dict[str, Any]) -> TrainingPlan:
    """Read the plan out of the description."""
    known = get_family(content["model_type"]).parts
    unknown = [p for p in (*content["full"], *content["lora"]) if p not in known]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no part of this family")
    return TrainingPlan(
        content["strategy"],
        full=tuple(content["full"]),
        lora={
            part: LoraSettings(**{**own, "targets": tuple(own["targets"])})
            for part, own in content["lora"].items()
        },
        frozen_head_layers=tuple(content["frozen_head_layers"]),
    )


def _read_peft_layout(
    folder: Path, model_type: str, base: str, plan: TrainingPlan
) -> Adapter:
    """Read the weights that the description names."""
    found = {part: read_peft_folder(folder / part) for part in plan.lora}
    lora = {part: dict(one.layers) for part, one in found.items()}
    full = {
        part: restore_weights(part, load_tensors(folder / f"{part}.safetensors"))
        for part in plan.full
    }
    as_found = TrainingPlan(
        plan.strategy, plan.full, {part: one.settings for part, one in found.items()}
    )
    return Adapter(model_type, base, None, as_found, lora, full)


def _check_settings(path: Path, stated: TrainingPlan, found: TrainingPlan) -> None:
    """Raise ValueError if the description and the files tell different things."""
    for part, own in stated.lora.items():
        if part not in found.lora:
            raise ValueError(f"{path}: {part} has no LoRA. Export the adapter again.")
        for key in ("rank", "alpha", "use_rslora", "use_dora"):
            pair = vars(found.lora[part])[key], vars(own)[key]
            if pair[0] != pair[1]:
                raise ValueError(
                    f"{path}: {part} has {key} {pair[1]}, its {CONFIG_NAME} says "
                    f"{pair[0]}. Export the adapter again."
                )
    missing = [part for part in stated.full if part not in found.full]
    if missing:
        raise ValueError(
            f"{path}: the weights of {', '.join(missing)} are missing. Copy the folder "
            "with all its files."
        )
