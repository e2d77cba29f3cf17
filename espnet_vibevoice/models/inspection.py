"""What a checkpoint contains, read from the heads of its files.

Works for both families and for built-in names. Of a folder only ``config.json``, the
heads of the safetensors files and the two latent constants are read, so even the
largest model takes a moment.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn

from espnet_vibevoice.adapters.parts import HEAD, LINEAR_LAYERS
from espnet_vibevoice.adapters.strategies import TrainingPlan, build_plan
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.builtin import BUILTIN_NAMES, build_parts, load_builtin
from espnet_vibevoice.models.checkpoint import (
    UNUSED_EMBEDDING,
    find_weights,
    our_name_in,
)

_CLASSES = {
    "language_model": "Qwen2Model",
    "tts_language_model": "Qwen2Model",
    "lm_head": "Linear",
    "tts_input_types": "Embedding",
    "acoustic_connector": "VibeVoiceMultiModalProjector",
    "semantic_connector": "VibeVoiceMultiModalProjector",
    "prediction_head": "DiffusionHead",
    "tts_eos_classifier": "EosClassifier",
    "acoustic_tokenizer.encoder": "VibeVoiceAcousticTokenizerEncoderModel",
    "acoustic_tokenizer.decoder": "VibeVoiceAcousticTokenizerDecoderModel",
    "semantic_tokenizer.encoder": "VibeVoiceAcousticTokenizerEncoderModel",
}
PART_ORDER = tuple(_CLASSES)
_ORIGINAL_PREFIX = "model."
_SCALE, _BIAS = "speech_scaling_factor", "speech_bias_factor"
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class Weight:
    """One weight of a checkpoint.

    Args:
        part (str): Part that it belongs to.
        name (str): Name inside the part.
        shape (tuple[int, ...]): Its shape.
        dtype (str): Its type, e.g. ``bfloat16``.
    """

    part: str
    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class PartReport:
    """One row of the table.

    Args:
        name (str): Part by its original name.
        class_name (str): Class that it is loaded into; ``unknown`` for strange parts.
        parameters (int): Number of parameters.
        dtype (str): Types of its weights.
        training (str): full | lora r16 (with its rank) | dora r16 | frozen.
        trainable (int): Parameters that training adds (LoRA) or changes.
    """

    name: str
    class_name: str
    parameters: int
    dtype: str
    training: str
    trainable: int


@dataclass(frozen=True)
class ModelReport:
    """What a checkpoint contains.

    Args:
        model (str): Folder, hub id or built-in name as it was given.
        model_type (str): Family, as ``config.json`` has it.
        strategy (str): Strategy that ``trainable`` is counted for.
        parts (list[PartReport]): Its parts.
        parameters (int): Parameters of all parts.
        trainable (int): Parameters that the strategy trains.
        trainable_share (float): Their share of ``parameters``.
        latent_scale (float | None): Scale of the latents; None without weights.
        latent_bias (float | None): Bias of the latents; None without weights.
        has_encoder (bool): Whether audio can be encoded.
        unused (dict[str, int]): Weights in the files that are never read.
    """

    model: str
    model_type: str
    strategy: str
    parts: list[PartReport]
    parameters: int
    trainable: int
    trainable_share: float
    latent_scale: float | None
    latent_bias: float | None
    has_encoder: bool
    unused: dict[str, int]

    def to_json(self) -> str:
        """Write as JSON."""
        return json.dumps(asdict(self), indent=2)

    def to_table(self) -> str:
        """Write as a table with a summary below."""
        head = ("part", "class", "parameters", "dtype", "training", "trained")
        rows = [
            (p.name, p.class_name, f"{p.parameters:,}", p.dtype, p.training)
            + (f"{p.trainable:,}",)
            for p in self.parts
        ]
        total = ("total", "", f"{self.parameters:,}", "", self.strategy)
        rows = [head, *rows, (*total, f"{self.trainable:,}")]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = [_align(row, widths) for row in rows]
        return "\n".join([*lines, *self._summarize()])

    def _summarize(self) -> list[str]:
        """Lines below the table."""
        scale = "not known without weights"
        if self.latent_scale is not None:
            scale = f"{self.latent_scale:.6g}, bias {self.latent_bias:.6g}"
        encoder = "present" if self.has_encoder else "absent: name one to encode audio"
        lines = [
            f"trained: {100 * self.trainable_share:.2f} % of {self.parameters:,}",
            f"latent scale {scale}",
            f"acoustic encoder {encoder}",
        ]
        for name, count in self.unused.items():
            lines.append(f"in the files but never read: {name} ({count:,})")
        return lines


def inspect_model(model: str, **plan_keys: Any) -> ModelReport:
    """Tell what a model contains and what a strategy would train of it.

    Args:
        model (str): Built-in name, or a base, see `base_folder.resolve_base`.
        plan_keys: What is trained, see `strategies.build_plan`.

    Raises:
        FileNotFoundError: If the base or one of its files does not exist.
        ValueError: If it is no VibeVoice model or the plan does not fit it.
    """
    if model in BUILTIN_NAMES:
        original = load_builtin(model)
        # the released realtime base comes without an encoder
        parts = build_parts(original, has_encoder=False)
        plan = build_plan(original["model_type"], **plan_keys)
        weights = list(_list_modules(parts, original["torch_dtype"]))
        return _report(model, original, plan, weights, {})
    folder = resolve_base(model)
    original = _read_config(folder)
    plan = build_plan(str(original.get("model_type")), **plan_keys)
    weights, constants = _read_heads(folder)
    return _report(model, original, plan, weights, constants)


def _report(
    model: str,
    original: dict[str, Any],
    plan: TrainingPlan,
    weights: list[Weight],
    constants: dict[str, float],
) -> ModelReport:
    """Count."""
    unused = [w for w in weights if _full_name(w) == UNUSED_EMBEDDING]
    used = [w for w in weights if w not in unused]
    layers = {w.name.split(".")[1] for w in used if _is_head_layer(w)}
    plan.check_head_layers(len(layers))
    names = sorted({weight.part for weight in used}, key=_find_place)
    parts = [
        _count_part(name, plan, [w for w in used if w.part == name]) for name in names
    ]
    parameters = sum(part.parameters for part in parts)
    trainable = sum(part.trainable for part in parts)
    return ModelReport(
        model=model,
        model_type=original["model_type"],
        strategy=plan.strategy,
        parts=parts,
        parameters=parameters,
        trainable=trainable,
        trainable_share=trainable / parameters if parameters else 0.0,
        latent_scale=constants.get(_SCALE),
        latent_bias=constants.get(_BIAS),
        has_encoder="acoustic_tokenizer.encoder" in names,
        unused={_full_name(w): math.prod(w.shape) for w in unused},
    )


def _is_head_layer(weight: Weight) -> bool:
    """Tell whether a weight lies in one of the diffusion head's layers."""
    return weight.part == HEAD and weight.name.startswith("layers.")


def _count_part(name: str, plan: TrainingPlan, weights: list[Weight]) -> PartReport:
    """Make one row."""
    return PartReport(
        name=name,
        class_name=_CLASSES.get(name, "unknown"),
        parameters=sum(math.prod(weight.shape) for weight in weights),
        dtype=", ".join(sorted({weight.dtype for weight in weights})),
        training=plan.describe(name),
        trainable=sum(plan.count_trained(name, w.name, w.shape) for w in weights),
    )


def _list_modules(parts: dict[str, nn.Module], dtype: str) -> Iterable[Weight]:
    """List the weights of modules without values."""
    for part, module in parts.items():
        for name, parameter in module.named_parameters():
            yield Weight(part, name, tuple(parameter.shape), dtype)


def _read_heads(folder: Path) -> tuple[list[Weight], dict[str, float]]:
    """List the weights of a folder, and read the two latent constants."""
    weights, constants = [], {}
    for path in sorted(set(find_weights(folder).values())):
        with safe_open(path, "pt") as file:
            for full_name in file.keys():
                name = full_name.removeprefix(_ORIGINAL_PREFIX)
                if name in (_SCALE, _BIAS):
                    constants[name] = float(file.get_tensor(full_name))
                    continue
                head = file.get_slice(full_name)
                dtype = _DTYPES.get(head.get_dtype(), head.get_dtype())
                part, inner = _split_name(name)
                if part in LINEAR_LAYERS:  # what LoRA may name is named as ours
                    inner = our_name_in(part, inner)
                weights.append(Weight(part, inner, tuple(head.get_shape()), dtype))
    return weights, constants


def _split_name(name: str) -> tuple[str, str]:
    """Split a name without ``model.`` into its part and the name inside.

    Example:
        >>> _split_name("acoustic_tokenizer.decoder.head.conv.conv.bias")
        ('acoustic_tokenizer.decoder', 'head.conv.conv.bias')
    """
    words = name.split(".")
    for count in (2, 1):
        part = ".".join(words[:count])
        if part in _CLASSES:
            return part, ".".join(words[count:])
    return words[0], ".".join(words[1:])


def _full_name(weight: Weight) -> str:
    """Name in the original files."""
    return f"{_ORIGINAL_PREFIX}{weight.part}.{weight.name}"


def _find_place(part: str) -> tuple[int, str]:
    """Place of a part in the table; strange ones come last."""
    known = part in _CLASSES
    return PART_ORDER.index(part) if known else len(PART_ORDER), part


def _align(row: tuple[str, ...], widths: list[int]) -> str:
    """Pad the cells of a row; numbers to the right."""
    cells = [
        cell.rjust(width) if column in (2, 5) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _read_config(folder: Path) -> dict[str, Any]:
    """Read the ``config.json`` of either family."""
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. Give the folder of a VibeVoice model, or one of "
            f"the names {', '.join(BUILTIN_NAMES)}."
        )
    try:
        original = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise ValueError(f"{path}: not valid JSON ({err}). Fetch it again.") from err
    if not isinstance(original, dict):
        raise ValueError(f"{path}: holds no mapping. Fetch it again.")
    return original
