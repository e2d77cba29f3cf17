"""An adapter out of an experiment of ESPnet: ``config.yaml`` and an epoch's weights.

The checkpoint holds what was trained, so neither the base nor ESPnet is needed to read
it, and however the base was kept in training (8 bit, bfloat16) does not matter.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from espnet_vibevoice.adapters.adapter import Adapter, LoraFactors
from espnet_vibevoice.adapters.parts import get_family
from espnet_vibevoice.adapters.plan import TrainingPlan
from espnet_vibevoice.adapters.seal import (
    AVERAGE_PREFIX,
    BASE_FINGERPRINT,
    LORA_SEAL,
    WAY_OUT_OF_AVERAGE,
    decode_digest,
    group_lora,
    is_seal_broken,
    lora_names,
)
from espnet_vibevoice.adapters.strategies import build_plan, pick_plan_keys
from espnet_vibevoice.adapters.tensor_files import load_tensors
from espnet_vibevoice.errors import summarize_faults

CONFIG_NAME = "config.yaml"
BEST_NAME = "valid.loss.best.pth"
# `tts:` of config.yaml to model_type of the base.
MODEL_TYPES = {"vibevoice_realtime": "vibevoice_streaming", "vibevoice": "vibevoice"}
_PREFIX = "tts."
_MODEL = "model."


def find_checkpoint(experiment: Path, name: str | None = None) -> Path:
    """Find the weights to take.

    Args:
        experiment (Path): Folder of an experiment.
        name (str | None): File name; None: that of the best validation loss, or the
            one ``*.best.pth`` that there is.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If there are several and none is of the plain loss.
    """
    if name is not None or (experiment / BEST_NAME).is_file():
        path = experiment / (name or BEST_NAME)
        if not path.is_file():
            there = ", ".join(sorted(p.name for p in experiment.glob("*.pth")))
            raise FileNotFoundError(
                f"{path}: no such checkpoint; there is {there or 'none'}. Name one by "
                "--checkpoint."
            )
        return path
    found = sorted(experiment.glob("*.best.pth"))
    if not found:
        raise FileNotFoundError(
            f"{experiment}: no *.best.pth. Train first, or name a file by --checkpoint."
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{experiment} has {names}: name one by --checkpoint.")
    return found[0]


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``config.yaml`` of an experiment with a model of ours.

    Args:
        folder (Path): Folder of an experiment, or an exported adapter that has one.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not valid or of another model.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. Give the folder of an experiment, with the "
            "config.yaml that its training wrote."
        )
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as err:
        raise ValueError(f"{path} is not valid YAML: {err}") from err
    if not isinstance(config, dict) or config.get("tts") not in MODEL_TYPES:
        raise ValueError(
            f"{path}: no configuration of one of {', '.join(MODEL_TYPES)}. Give an "
            "experiment that was trained with VibeVoice."
        )
    if not (config.get("tts_conf") or {}).get("base"):
        raise ValueError(f"{path}: tts_conf names no base. Add it: tts_conf: base: ...")
    return config


def read_checkpoint(path: Path) -> Adapter:
    """Read an adapter out of an epoch's weights.

    Args:
        path (Path): ``.pth`` file with ``config.yaml`` beside it.

    Returns:
        Adapter: The averaged weights where the training averaged them.

    Raises:
        FileNotFoundError: If one of the two is absent.
        ValueError: If the file is damaged, does not fit the configuration, or its
            LoRA factors were averaged name by name.
    """
    config = read_config(path.parent)
    model_type = MODEL_TYPES[config["tts"]]
    tts_conf = config["tts_conf"]
    plan = build_plan(model_type, **pick_plan_keys(tts_conf))
    state = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in load_tensors(path).items()
    }
    mark, seal = state.pop(BASE_FINGERPRINT, None), state.pop(LORA_SEAL, None)
    # raw weights for resuming; the plain names hold the average
    state = {n: t for n, t in state.items() if not n.startswith(AVERAGE_PREFIX)}
    _check_seal(path, state, seal)
    fingerprint = tts_conf.get("base_fingerprint")
    if mark is not None:
        fingerprint = decode_digest(mark)
        if fingerprint is None:
            raise ValueError(
                f"{path}: an average over different bases. Take one checkpoint."
            )
    parts = _divide(path, state, plan)
    lora = {part: _group(parts[part]) for part in plan.lora}
    full = {part: parts[part] for part in plan.full}
    base = str(tts_conf["base"])
    revision = base.partition("@")[2] or None
    return Adapter(model_type, base, fingerprint, plan, lora, full, revision)


def make_tts_conf(adapter: Adapter) -> dict[str, Any]:
    """Make the keys of ``tts_conf`` that build an adapter's model.

    Args:
        adapter (Adapter): The adapter.

    Returns:
        dict: ``strategy: custom`` with the lists that the plan amounts to.
    """
    plan = adapter.plan
    get_family(adapter.model_type)
    return {
        "strategy": "custom",
        "trained_parts": list(plan.full),
        "lora_parts": {
            part: {**vars(own), "targets": list(own.targets)}
            for part, own in plan.lora.items()
        },
        "freeze_head_layers": list(plan.frozen_head_layers),
    }


def _check_seal(path: Path, state: Mapping[str, Tensor], seal: Tensor | None) -> None:
    """Refuse factors of LoRA that are not those of one training step."""
    if not lora_names(state):
        return
    if seal is None or is_seal_broken(state, seal):
        raise ValueError(
            f"{path}: its LoRA factors are not those that training saved, as after "
            "ESPnet's averaging: the mean of factors is not the mean of models. Way "
            f"out: {WAY_OUT_OF_AVERAGE}."
        )


def _divide(
    path: Path, state: Mapping[str, Tensor], plan: TrainingPlan
) -> dict[str, dict[str, Tensor]]:
    """Sort weights by part; each must be of a part that the plan trains."""
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in plan.parts}
    faults = []
    for name, tensor in state.items():
        part, _, rest = name.removeprefix(_MODEL).partition(".")
        if not name.startswith(_MODEL) or part not in parts or not rest:
            faults.append(f"unexpected {name}")
            continue
        if (part in plan.lora) != bool(lora_names({name: tensor})):
            faults.append(f"{name} is not of a part trained {plan.describe(part)}")
            continue
        if part in plan.lora:
            faults += _find_rank_fault(name, tensor, plan.lora[part].rank)
        parts[part][rest] = tensor
    faults += [f"no weight of {part}" for part, found in parts.items() if not found]
    if faults:
        raise ValueError(
            f"{path} does not fit its {CONFIG_NAME}: {summarize_faults(faults)}. Use "
            "the config.yaml it was trained with."
        )
    return parts


def _find_rank_fault(name: str, tensor: Tensor, rank: int) -> list[str]:
    """Tell whether a factor of LoRA is of another rank than the configuration's."""
    axis = 0 if ".lora_A." in name else 1
    is_factor = ".lora_A." in name or ".lora_B." in name
    if not is_factor or tensor.shape[axis : axis + 1] == (rank,):
        return []
    return [f"{name} has shape {tuple(tensor.shape)}, which is not of rank {rank}"]


def _group(state: Mapping[str, Tensor]) -> dict[str, LoraFactors]:
    """Sort factors by layer."""
    layers = {}
    for layer, found in group_lora(state).items():
        if not {"A", "B"} <= set(found):
            raise ValueError(f"{layer} has only {', '.join(found)} of its LoRA.")
        layers[layer] = LoraFactors(
            found["A"], found["B"], found.get("magnitude_vector")
        )
    return layers
