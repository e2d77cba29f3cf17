"""The model card of an exported adapter: README.md with the front matter of the hub."""

import datetime
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.plan import TrainingPlan

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_LICENCE_ID = re.compile(r"[a-z0-9][a-z0-9.-]*")
# Keys of config.yaml that tell how the training went, in the order of the card.
_SETTINGS = (
    "max_epoch",
    "batch_type",
    "batch_bins",
    "batch_size",
    "accum_grad",
    "optim",
    "optim_conf",
    "scheduler",
    "scheduler_conf",
    "grad_clip",
    "seed",
)
_NO_LICENCE = (
    "Its makers have not stated a licence: ask them before you pass it on or build on "
    "it."
)
# Besides tensors, what ESPnet's reporter keeps: plain values, none of which runs code.
_PLAIN_TYPES = [
    datetime.timedelta,
    np.dtype,
    np.float64(0).__reduce__()[0],
    *(type(np.dtype(name)) for name in ("float32", "float64", "int64")),
]
_USE = {
    "peft": """\
Decode with ESPnet, or train on (`--init_param my_exp/valid.loss.best.pth`):

```
python -m espnet_vibevoice.bin.import_adapter THIS_FOLDER my_exp --base {base}
```

Or make a model in the original format, which every tool for VibeVoice reads:

```
python -m espnet_vibevoice.bin.merge_adapter THIS_FOLDER my_model --base {base}
```

Each folder of a part is one of peft: `PeftModel.from_pretrained(part, folder)` loads it
into that part of the model as transformers builds it. Each `.safetensors` file holds a
part trained in full, with the names of the original checkpoint.
""",
    "community": """\
Give this folder to a tool for VibeVoice as its checkpoint or LoRA folder (ComfyUI
nodes: the folder `lora`). Without such a tool:

```
python -m espnet_vibevoice.bin.merge_adapter THIS_FOLDER my_model --base {base}
```
""",
}


@dataclass(frozen=True)
class CardText:
    """What only the makers know.

    Args:
        title (str): First line of the card.
        licence (str | None): Identifier of the hub (``mit``) or a sentence.
    """

    title: str = "VibeVoice adapter"
    licence: str | None = None


def write_card(
    adapter: Adapter,
    text: CardText,
    layout: str,
    config: Mapping[str, Any] | None,
    figures: str | None,
) -> str:
    """Write the card.

    Args:
        adapter (Adapter): The adapter.
        text (CardText): Title and licence.
        layout (str): peft | community.
        config (Mapping | None): Configuration of the training.
        figures (str | None): How the training went, in a line.

    Returns:
        str: Content of README.md.
    """
    plan = adapter.plan
    base = _describe_base(adapter)
    lines = [_write_front_matter(adapter, text, layout), f"# {text.title}", ""]
    lines += [f"An adapter for {base}, which it needs to speak.", ""]
    if adapter.base_fingerprint:
        lines += [f"Fingerprint of the base: `{adapter.base_fingerprint}`.", ""]
    lines += ["## What was trained", "", "| part | how |", "|---|---|"]
    lines += [f"| {part} | {_describe_part(plan, part)} |" for part in plan.parts]
    if plan.frozen_head_layers:
        frozen = ", ".join(map(str, plan.frozen_head_layers))
        lines += ["", f"Layers {frozen} of the diffusion head stayed frozen."]
    lines += ["", f"Strategy: {plan.strategy}. Everything else is the base's.", ""]
    lines += ["## Training", "", figures or "Its figures are not known.", ""]
    for key in _SETTINGS:
        if config is not None and config.get(key) not in (None, {}, []):
            lines.append(f"- {key}: {config[key]}")
    use = _USE[layout].format(base=_name_base(adapter) or "BASE")
    lines += ["", "## How to use", "", use]
    lines += ["## Licence and consent", "", _describe_licence(text), ""]
    lines.append(
        "The licence of the base holds as well. Voices are personal: make nobody's "
        "voice without their consent, and tell listeners that the speech is synthetic."
    )
    return "\n".join(lines) + "\n"


def read_training_figures(experiment: Path) -> str | None:
    """Read from a finished training how far it went and how good it became.

    Args:
        experiment (Path): Folder of the experiment.

    Returns:
        str | None: One line; None without ``checkpoint.pth`` or if that holds more
            than plain values.
    """
    path = experiment / "checkpoint.pth"
    if not path.is_file():
        return None
    try:
        with torch.serialization.safe_globals(_PLAIN_TYPES):
            states = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError):
        return None
    stats = states["reporter"]["stats"]  # epoch -> phase -> name -> value
    epochs = [epoch for epoch in stats if "valid" in stats[epoch]]
    if not epochs:
        return None
    told = [f"{len(stats)} epochs" if len(stats) > 1 else "1 epoch"]
    for name in sorted(stats[epochs[0]]["valid"]):
        if name.endswith("loss"):
            values = {epoch: stats[epoch]["valid"][name] for epoch in epochs}
            best = min(values, key=values.__getitem__)
            told.append(f"validation {name} {values[best]:.4f} (epoch {best})")
    return "; ".join(told) + "."


def _write_front_matter(adapter: Adapter, text: CardText, layout: str) -> str:
    """Write what the hub reads."""
    tags = ["text-to-speech", "vibevoice", "espnet"]
    front: dict[str, Any] = {
        "language": ["fa"],
        "library_name": "peft" if adapter.lora else "espnet",
        "pipeline_tag": "text-to-speech",
        "tags": [*tags, "lora"] if adapter.lora else tags,
    }
    name = _name_base(adapter)
    if name is not None:
        front |= {"base_model": name, "base_model_relation": "adapter"}
    if text.licence is not None and _LICENCE_ID.fullmatch(text.licence):
        front["license"] = text.licence
    elif text.licence is not None:
        front |= {"license": "other", "license_name": "see-below"}
    content = yaml.safe_dump(front, allow_unicode=True, sort_keys=True)
    return f"---\n{content}---\n"


def _name_base(adapter: Adapter) -> str | None:
    """Hub id of the base; None for a local one, whose path says nothing elsewhere."""
    repository = adapter.base.partition("@")[0]
    is_local = Path(adapter.base).exists()
    return None if is_local or not _HUB_ID.fullmatch(repository) else repository


def _describe_base(adapter: Adapter) -> str:
    name = _name_base(adapter)
    if name is None:
        return f"a local base of the family `{adapter.model_type}`"
    revision = f" at revision `{adapter.base_revision}`"
    return f"`{name}`{revision if adapter.base_revision else ''}"


def _describe_part(plan: TrainingPlan, part: str) -> str:
    """Tell how a part was trained, with the settings of its LoRA."""
    if part in plan.full:
        return "in full"
    own = plan.lora[part]
    kinds = ["DoRA" if own.use_dora else "LoRA"]
    kinds += ["rank-stabilised"] if own.use_rslora else []
    return (
        f"{', '.join(kinds)}, rank {own.rank}, alpha {own.alpha:g}, dropout "
        f"{own.dropout:g}, on {', '.join(own.targets)}"
    )


def _describe_licence(text: CardText) -> str:
    if text.licence is None:
        return _NO_LICENCE
    return f"Licence of this adapter: {text.licence.rstrip('.')}."
