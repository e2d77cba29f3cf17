"""The predicted memory of a training, from a base's sizes and a configuration."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import yaml

from espnet_vibevoice.adapters.strategies import build_plan, pick_plan_keys
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.builtin import BUILTIN_NAMES, load_builtin
from espnet_vibevoice.models.checkpoint import has_encoder_weights
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.models.memory import MemorySettings
from espnet_vibevoice.models.memory_plan import plan_memory
from espnet_vibevoice.models.multispeaker_config import MULTISPEAKER_TYPE
from espnet_vibevoice.tts.batch_estimate import (
    DEFAULT_BATCH_SIZE,
    TypicalUtterance,
    estimate_batch,
)
from espnet_vibevoice.tts.conf import read_tts_conf

_MEMORY_KEYS = tuple(field.name for field in dataclasses.fields(MemorySettings))


def plan_training_memory(
    model: str,
    utterance: TypicalUtterance,
    *,
    train_config: str = "",
    train_args: str = "",
    batch_bins: int | None = None,
) -> str:
    """Predict the memory of a training step.

    Args:
        model (str): Built-in name, or a base, see `base_folder.resolve_base`.
        utterance (TypicalUtterance): What the corpus is like.
        train_config (str): Training configuration; empty: defaults.
        train_args (str): Options that overrule its ``tts_conf``.
        batch_bins (int | None): Tokens and frames of a batch; None: as configured.

    Returns:
        str: A line on the batch, and the table of `MemoryPlan.describe`.

    Raises:
        FileNotFoundError: If there is no such base or configuration.
        ValueError: If a setting does not fit the base.
    """
    given = argparse.Namespace(
        train_config=train_config,
        train_args=train_args,
        base=model,
        acoustic_encoder=None,
    )
    tts_conf = read_tts_conf(given)
    original, has_encoder = _read_original(model)
    is_multispeaker = original["model_type"] == MULTISPEAKER_TYPE
    bins, batch_size = _read_batch(train_config, batch_bins)
    rows, batch = estimate_batch(
        tts_conf,
        utterance,
        is_multispeaker=is_multispeaker,
        batch_bins=bins,
        batch_size=batch_size,
    )
    memory = {key: tts_conf[key] for key in _MEMORY_KEYS if key in tts_conf}
    plan = plan_memory(
        original,
        build_plan(original["model_type"], **pick_plan_keys(tts_conf)),
        MemorySettings(**memory),
        batch,
        has_average=tts_conf.get("ema_decay", 0) > 0,
        has_encoder=has_encoder,
    )
    line = (
        f"batch: {rows} utterances of {utterance.seconds:g} s with voices of "
        f"{utterance.prompt_sec:g} s at most, {batch.positions} positions, "
        f"{batch.frames} frames to learn, {batch.labels} labels of the vocabulary"
    )
    return f"{line}\n{plan.describe()}"


def _read_original(model: str) -> tuple[dict[str, Any], bool]:
    """Read a base's configuration in the original form, and whether it can encode."""
    if model in BUILTIN_NAMES:  # the released realtime base comes without an encoder
        return load_builtin(model), False
    folder = resolve_base(model)
    return load_config(folder).original, has_encoder_weights(folder)


def _read_batch(train_config: str, batch_bins: int | None) -> tuple[int | None, int]:
    """Read bins of a batch, None where utterances count, and their number."""
    config: dict[str, Any] = {}
    if train_config:
        config = yaml.safe_load(Path(train_config).read_text("utf-8")) or {}
    if batch_bins is None and config.get("batch_type") == "numel":
        batch_bins = config["batch_bins"]
    return batch_bins, config.get("batch_size", DEFAULT_BATCH_SIZE)
