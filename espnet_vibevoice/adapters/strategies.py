"""Strategies: the keys of ``tts_conf`` become the plan of a training."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from espnet_vibevoice.adapters.parts import (
    ATTENTION_PROJECTIONS,
    CUSTOM,
    HEAD,
    LINEAR_LAYERS,
    MLP_PROJECTIONS,
    STRATEGY_NAMES,
    Family,
    get_family,
)
from espnet_vibevoice.adapters.plan import (
    DEFAULT_ALPHA,
    DEFAULT_DROPOUT,
    DEFAULT_RANK,
    LoraSettings,
    TrainingPlan,
    is_count,
)

__all__ = [
    "STRATEGY_NAMES",
    "LoraSettings",
    "TrainingPlan",
    "build_plan",
    "pick_plan_keys",
]

DEFAULT_STRATEGY = "lora"
DEFAULT_TARGETS = "attention"
_TARGET_GROUPS = {
    "attention": ATTENTION_PROJECTIONS,
    "attention_mlp": (*ATTENTION_PROJECTIONS, *MLP_PROJECTIONS),
}
_ALL_LINEAR = "linear"


def build_plan(
    model_type: str,
    *,
    strategy: str = DEFAULT_STRATEGY,
    trained_parts: Sequence[str] | None = None,
    lora_parts: Mapping[str, Mapping[str, Any] | None] | None = None,
    lora_targets: str | Sequence[str] = DEFAULT_TARGETS,
    lora_rank: int = DEFAULT_RANK,
    lora_alpha: float = DEFAULT_ALPHA,
    lora_dropout: float = DEFAULT_DROPOUT,
    use_rslora: bool = False,
    use_dora: bool = False,
    train_connectors: bool | None = None,
    freeze_head_layers: Sequence[int] = (),
) -> TrainingPlan:
    """Make the plan that the keys of ``tts_conf`` ask for.

    Args:
        model_type (str): ``model_type`` of the base's ``config.json``.
        strategy (str): lora | conservative | full | head_only | custom.
        trained_parts (Sequence[str] | None): Parts trained in full; custom only.
        lora_parts (Mapping | None): Parts that get LoRA besides the strategy's, or
            with settings of their own: part to a mapping with any of ``targets``,
            ``rank``, ``alpha``, ``dropout``, ``use_rslora``, ``use_dora``, or to None.
        lora_targets (str | Sequence[str]): attention | attention_mlp | linear, or a
            list of names of layers. A part without attention takes all its linear
            layers in place of a named group, unless it has targets of its own.
        lora_rank (int): See `LoraSettings`, as the next four.
        lora_alpha (float): See `LoraSettings`.
        lora_dropout (float): See `LoraSettings`.
        use_rslora (bool): See `LoraSettings`.
        use_dora (bool): See `LoraSettings`.
        train_connectors (bool | None): Whether the connectors are trained in full;
            None: as the strategy has it.
        freeze_head_layers (Sequence[int]): Layers of the head that stay frozen.

    Returns:
        TrainingPlan: The plan.

    Raises:
        ValueError: If a value is unknown or out of range, or two do not go together.
    """
    family = get_family(model_type)
    given = _check_mapping("lora_parts", lora_parts)
    full, lora = _choose_parts(family, strategy, trained_parts, given)
    full = _set_connectors(family, full, lora, train_connectors)
    twice = [part for part in full if part in lora]
    if twice:
        raise ValueError(
            f"{', '.join(twice)}: trained in full by strategy {strategy} and named in "
            "lora_parts as well. Take one of them out; strategy: custom lets you "
            "choose both lists."
        )
    if not full and not lora:
        raise ValueError(
            f"strategy {strategy} with these settings trains nothing: name at least "
            f"one of {', '.join(family.parts)} in trained_parts or lora_parts."
        )
    common = {
        "targets": lora_targets,
        "rank": lora_rank,
        "alpha": lora_alpha,
        "dropout": lora_dropout,
        "use_rslora": use_rslora,
        "use_dora": use_dora,
    }
    return TrainingPlan(
        strategy,
        full=tuple(part for part in family.parts if part in full),
        lora={
            part: _make_settings(part, common, given.get(part))
            for part in family.parts
            if part in lora
        },
        frozen_head_layers=_check_indices(freeze_head_layers, {*full, *lora}),
    )


PLAN_KEYS = tuple(build_plan.__kwdefaults__)


def pick_plan_keys(tts_conf: Mapping[str, Any]) -> dict[str, Any]:
    """Take the keys that make the plan out of ``tts_conf``.

    Args:
        tts_conf (Mapping): Settings of a model.
    """
    return {key: tts_conf[key] for key in PLAN_KEYS if key in tts_conf}


def _choose_parts(
    family: Family,
    strategy: str,
    trained_parts: Sequence[str] | None,
    given: Mapping[str, Any],
) -> tuple[set[str], set[str]]:
    """Return the parts trained in full and by LoRA, before options change them."""
    if strategy not in STRATEGY_NAMES:
        raise ValueError(
            f"strategy {strategy!r} is not known: choose one of "
            f"{', '.join(STRATEGY_NAMES)}."
        )
    _check_parts("lora_parts", given, family)
    for part in given:
        if part not in LINEAR_LAYERS:
            able = [name for name in family.parts if name in LINEAR_LAYERS]
            raise ValueError(
                f"lora_parts names {part}, which has no linear layer that takes LoRA: "
                f"train it in full, or choose among {', '.join(able)}."
            )
    if strategy == CUSTOM:
        full = [] if trained_parts is None else trained_parts
        if isinstance(full, str) or not isinstance(full, Sequence):
            raise ValueError(f"trained_parts is {full!r}: give a list of parts.")
        _check_parts("trained_parts", full, family)
        return set(full), set(given)
    if trained_parts is not None:
        raise ValueError(
            f"trained_parts is given with strategy {strategy}, which has its own "
            "parts: give strategy: custom as well, or take trained_parts out."
        )
    chosen = family.strategies[strategy]
    return set(chosen.full), {*chosen.lora, *given}


def _set_connectors(
    family: Family, full: set[str], lora: set[str], train_connectors: bool | None
) -> set[str]:
    """Add the connectors to the parts trained in full, or take them out."""
    if train_connectors is None:
        return full
    if not isinstance(train_connectors, bool):
        raise ValueError(
            f"train_connectors is {train_connectors!r}: give true, false or null."
        )
    connectors = set(family.connectors)
    return full | connectors if train_connectors else full - connectors


def _make_settings(
    part: str, common: Mapping[str, Any], own: Mapping[str, Any] | None
) -> LoraSettings:
    """Make the LoRA settings of one part: its own where given, else the common."""
    own = _check_mapping(f"lora_parts: {part}", own)
    known = [f.name for f in dataclasses.fields(LoraSettings)]
    unknown = sorted(set(own) - set(known))
    if unknown:
        raise ValueError(
            f"lora_parts: {part} has the key {', '.join(map(str, unknown))}: it "
            f"knows {', '.join(known)}. On the command line write --tts_conf "
            f"lora_parts.{part}.rank=4; in YAML a space follows each colon."
        )
    targets = {**common, **own}["targets"]
    has_attention = set(ATTENTION_PROJECTIONS) <= set(LINEAR_LAYERS[part])
    if isinstance(targets, str) and "targets" not in own and not has_attention:
        targets = _ALL_LINEAR if targets in _TARGET_GROUPS else targets
    return LoraSettings(**{**common, **own, "targets": _find_layers(part, targets)})


def _find_layers(part: str, targets: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of a part's linear layers that targets mean."""
    there = LINEAR_LAYERS[part]
    if isinstance(targets, str):
        if targets == _ALL_LINEAR:
            return there
        if targets not in _TARGET_GROUPS:
            raise ValueError(
                f"LoRA targets {targets!r} of {part}: give attention, attention_mlp, "
                f"linear, or a list with some of {', '.join(there)}."
            )
        found = tuple(name for name in there if name in _TARGET_GROUPS[targets])
        missing = [] if found else [targets]
    else:
        found = tuple(name for name in there if name in targets)
        missing = [str(name) for name in targets if name not in there]
        missing = missing if found else missing or ["nothing"]
    if missing:
        raise ValueError(
            f"LoRA targets {', '.join(missing)} match no linear layer of {part}: it "
            f"has {', '.join(there)}."
        )
    return found


def _check_mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return a mapping, an empty one for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {value!r}: give a mapping, or null.")
    return value


def _check_parts(key: str, names: Sequence[str] | Mapping, family: Family) -> None:
    """Raise ValueError for names that are no part that can be trained."""
    wrong = sorted(str(name) for name in names if name not in family.parts)
    if wrong:
        raise ValueError(
            f"{key} names {', '.join(wrong)}: choose among {', '.join(family.parts)}. "
            "Codecs are never trained."
        )


def _check_indices(indices: Sequence[int], trained: set[str]) -> tuple[int, ...]:
    """Return the frozen layers of the head in order."""
    is_list = isinstance(indices, Sequence) and not isinstance(indices, str)
    if not is_list or not all(is_count(i) and i >= 0 for i in indices):
        raise ValueError(
            f"freeze_head_layers is {indices!r}: give a list of numbers of layers, "
            "counted from 0."
        )
    if indices and HEAD not in trained:
        raise ValueError(
            f"freeze_head_layers is {list(indices)}, but {HEAD} is frozen as a whole: "
            "leave the key out, or choose a strategy that trains the head."
        )
    return tuple(sorted(set(indices)))
