"""An adapter as an experiment of ESPnet, to decode with or to train on from."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.effect import LoadReport, report_load
from espnet_vibevoice.adapters.experiment import (
    BEST_NAME,
    CONFIG_NAME,
    MODEL_TYPES,
    make_tts_conf,
    read_config,
)
from espnet_vibevoice.adapters.loading import adapt_model, check_base, fill_adapter
from espnet_vibevoice.adapters.new_folder import make_new_folder
from espnet_vibevoice.adapters.strategies import PLAN_KEYS, build_plan, pick_plan_keys
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.fingerprint import fingerprint_weights
from espnet_vibevoice.models.loading import load_model
from espnet_vibevoice.tts.base_names import portable_base
from espnet_vibevoice.tts.task import TOKEN_TYPE, VibeVoiceTTSTask

logger = logging.getLogger(__name__)

# How the model is kept while its checkpoint is written, whatever the training did.
_PLAIN = {
    "precision": "float32",
    "base_dtype": "float32",
    "quantize_base": None,
    "gradient_checkpointing": False,
    "ema_decay": 0.0,
}


def write_experiment(
    adapter: Adapter, base: str, out: Path, config: Mapping[str, Any] | None = None
) -> LoadReport:
    """Write ``config.yaml`` and a checkpoint for an adapter.

    Args:
        adapter (Adapter): The adapter.
        base (str): The base it was made for, see `base_folder.resolve_base`.
        out (Path): Folder to make.
        config (Mapping | None): Configuration of its training; None: ESPnet's
            defaults.

    Returns:
        LoadReport: What the adapter changes of the base.

    Raises:
        FileExistsError: If ``out`` holds something.
        FileNotFoundError: If there is no such base.
        ValueError: If the adapter is of another base, does not fit or changes nothing.
    """
    with make_new_folder(out) as temporary:
        fingerprint = fingerprint_weights(resolve_base(base))
        check_base(adapter, base, fingerprint)
        base_model = load_model(base)
        adapted = adapt_model(base_model, adapter)
        report = report_load(str(out), base_model, adapter, adapted)
        content = dict(config or _make_config(adapter)) | {"output_dir": str(out)}
        content["tts_conf"] = _complete_tts_conf(
            content["tts_conf"], adapter, base, fingerprint
        )
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        (temporary / CONFIG_NAME).write_text(text, encoding="utf-8")
        plain = content | {"tts_conf": content["tts_conf"] | _PLAIN}
        model = VibeVoiceTTSTask.build_model(argparse.Namespace(**plain))
        fill_adapter(model.tts.model, adapter)
        torch.save(model.state_dict(), temporary / BEST_NAME)
    return report


def find_config(path: Path) -> dict[str, Any] | None:
    """Read the training's configuration that came with an adapter, if one did.

    Args:
        path (Path): Folder of the adapter, or a ``.pth`` file of an experiment.
    """
    folder = path.parent if path.is_file() else path
    return read_config(folder) if (folder / CONFIG_NAME).is_file() else None


def _make_config(adapter: Adapter) -> dict[str, Any]:
    """Make a configuration from ESPnet's defaults."""
    names = [tts for tts, kind in MODEL_TYPES.items() if kind == adapter.model_type]
    words = ["--tts", names[0], "--token_type", TOKEN_TYPE, "--normalize", "none"]
    words += ["--feats_extract", "vibevoice_latents"]
    parser = VibeVoiceTTSTask.get_parser()
    return vars(parser.parse_args([*words, "--output_dir", ".", "--token_list", "-"]))


def _complete_tts_conf(
    given: Mapping[str, Any], adapter: Adapter, base: str, fingerprint: str
) -> dict[str, Any]:
    """Set base and plan in the settings of a model."""
    tts_conf = dict(given)
    tts_conf |= {"base": portable_base(base), "base_fingerprint": fingerprint}
    plan = build_plan(adapter.model_type, **pick_plan_keys(tts_conf))
    if plan != adapter.plan:
        kept = {key: tts_conf[key] for key in tts_conf if key not in PLAN_KEYS}
        tts_conf = kept | make_tts_conf(adapter)
    voice = tts_conf.get("voice_prompt")
    if voice is not None and not Path(voice).exists():
        logger.warning("voice_prompt %s is not here: left out of tts_conf", voice)
        del tts_conf["voice_prompt"]
    return tts_conf
