"""LoRA of one module in the two files that peft reads and writes.

``adapter_config.json`` says how, ``adapter_model.safetensors`` (or ``.bin``) holds the
factors. Everything of peft that would change the result and that we do not train
(biases, ranks of single layers, ...) is refused by name, and never ignored.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_vibevoice.adapters.adapter import LoraFactors
from espnet_vibevoice.adapters.plan import LoraSettings
from espnet_vibevoice.adapters.tensor_files import load_tensors, save_tensors
from espnet_vibevoice.errors import summarize_faults

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
OLD_WEIGHTS_NAME = "adapter_model.bin"
_START = "base_model.model."
_KINDS = {"lora_A.weight": "a", "lora_B.weight": "b", "lora_magnitude_vector": "m"}
_TENSOR = re.compile(
    r"base_model\.model\.(.+)\.(lora_A\.weight|lora_B\.weight|lora_magnitude_vector)"
)
# Settings of peft that must be off, because we do not build what they ask for.
_MUST_BE_OFF = (
    "alora_invocation_tokens",
    "alpha_pattern",
    "fan_in_fan_out",
    "layer_replication",
    "layers_to_transform",
    "lora_bias",
    "modules_to_save",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
)
# Ways to start the factors that leave the base's weights as they are.
_PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")
# Keys that every version of peft since DoRA knows; older ones refuse newer keys.
LONG_KNOWN_KEYS = (
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "revision",
    "target_modules",
    "task_type",
    "use_dora",
    "use_rslora",
)


@dataclass(frozen=True)
class PeftFolder:
    """LoRA of one module.

    Args:
        settings (LoraSettings): How; its targets are the last words of the paths.
        layers (Mapping): Path of a layer in the module to its factors.
        base (str | None): What ``base_model_name_or_path`` says.
    """

    settings: LoraSettings
    layers: Mapping[str, LoraFactors]
    base: str | None = None


def has_peft_files(folder: Path) -> bool:
    """Tell whether a folder holds a file of peft's."""
    names = (CONFIG_NAME, WEIGHTS_NAME, OLD_WEIGHTS_NAME)
    return any((folder / name).is_file() for name in names)


def write_peft_folder(
    lora: PeftFolder,
    folder: Path,
    *,
    targets: Collection[str],
    module_class: str | None = None,
    keys: Collection[str] | None = None,
) -> None:
    """Write the two files.

    Args:
        lora (PeftFolder): What to write.
        folder (Path): Folder to write into; made if absent.
        targets (Collection[str]): What ``target_modules`` says.
        module_class (str | None): Class of transformers that the module is.
        keys (Collection[str] | None): Keys to write of the configuration; None: all.
    """
    from peft import LoraConfig

    settings = lora.settings
    config = LoraConfig(
        base_model_name_or_path=lora.base,
        target_modules=set(targets),
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        inference_mode=True,
    ).to_dict()
    config["target_modules"] = sorted(targets)
    if module_class is not None:
        library = "transformers"
        parent = {"base_model_class": module_class, "parent_library": library}
        config["auto_mapping"] = parent
    kept = {key: config[key] for key in sorted(config) if keys is None or key in keys}
    tensors = {}
    for path, factors in lora.layers.items():
        tensors[f"{_START}{path}.lora_A.weight"] = factors.a
        tensors[f"{_START}{path}.lora_B.weight"] = factors.b
        if factors.magnitude is not None:
            tensors[f"{_START}{path}.lora_magnitude_vector"] = factors.magnitude
    save_tensors(tensors, folder / WEIGHTS_NAME)
    text = json.dumps(kept, indent=2) + "\n"
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def read_peft_folder(folder: Path) -> PeftFolder:
    """Read the two files.

    Args:
        folder (Path): Folder with both.

    Returns:
        PeftFolder: Paths as the file has them.

    Raises:
        FileNotFoundError: If one of them is absent.
        ValueError: If one is damaged, asks for what we do not build, a name is
            unknown, a tensor is missing, or a rank is not the one it states.
    """
    path = folder / CONFIG_NAME
    config = read_json(path)
    _check_config(path, config)
    weights = folder / WEIGHTS_NAME
    if not weights.is_file() and (folder / OLD_WEIGHTS_NAME).is_file():
        weights = folder / OLD_WEIGHTS_NAME
    layers = _group_factors(load_tensors(weights), config, weights)
    leaves = sorted({layer.rpartition(".")[2] for layer in layers})
    settings = LoraSettings(
        tuple(leaves),
        rank=config["r"],
        alpha=config["lora_alpha"],
        dropout=config.get("lora_dropout", 0.0),
        use_rslora=config.get("use_rslora", False),
        use_dora=config.get("use_dora", False),
    )
    return PeftFolder(settings, layers, config.get("base_model_name_or_path"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path (Path): The file.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. An adapter is a whole folder: copy it with all "
            "its files."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise ValueError(f"{path}: not valid JSON ({err}). Copy it again.") from err
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds no object with keys. Copy it again.")
    return content


def _check_config(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse what is not LoRA as we build it."""
    if config.get("peft_type") != "LORA":
        raise ValueError(
            f"{path}: peft_type is {config.get('peft_type')!r}, only LORA is "
            "supported. Give an adapter that was trained by LoRA."
        )
    missing = [key for key in ("r", "lora_alpha") if key not in config]
    if missing:
        raise ValueError(f"{path}: the key {missing[0]} is missing. Copy it again.")
    wrong = [f"{key}: {config[key]!r}" for key in _MUST_BE_OFF if config.get(key)]
    if config.get("bias", "none") != "none":
        wrong.append(f"bias: {config['bias']!r}")
    if config.get("init_lora_weights", True) not in _PLAIN_STARTS:
        wrong.append(f"init_lora_weights: {config['init_lora_weights']!r}")
    if wrong:
        raise ValueError(
            f"{path}: {', '.join(wrong)} is not supported, and without it the adapter "
            "would do something else. Merge it with the tool that made it."
        )


def _group_factors(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], path: Path
) -> dict[str, LoraFactors]:
    """Sort tensors by layer; every one must have its place."""
    found: dict[str, dict[str, Tensor]] = {}
    faults = []
    for name, tensor in tensors.items():
        match = _TENSOR.fullmatch(name)
        if match is None:
            faults.append(f"{name} is no tensor of LoRA")
            continue
        found.setdefault(match[1], {})[_KINDS[match[2]]] = tensor
    wanted = {"a", "b", "m"} if config.get("use_dora") else {"a", "b"}
    rank = config["r"]
    for layer, kinds in found.items():
        if set(kinds) != wanted:
            names = [name for name, kind in _KINDS.items() if kind in kinds]
            faults.append(
                f"{layer} has {', '.join(names)}, wanted {len(wanted)} tensors"
            )
            continue
        shapes = tuple(kinds["a"].shape), tuple(kinds["b"].shape)
        if len(shapes[0]) != 2 or shapes[0][0] != rank or shapes[1][1:] != (rank,):
            faults.append(
                f"{layer} has factors {shapes[0]} and {shapes[1]}, which are not of "
                f"rank {rank}"
            )
    if not tensors:
        faults.append("there is no tensor")
    if faults:
        raise ValueError(
            f"{path} does not fit its {CONFIG_NAME}: {summarize_faults(faults)}. "
            "Export the adapter again."
        )
    return {
        layer: LoraFactors(kinds["a"], kinds["b"], kinds.get("m"))
        for layer, kinds in found.items()
    }
