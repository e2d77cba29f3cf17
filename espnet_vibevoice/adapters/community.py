"""Adapters in the layout that community tools for VibeVoice read and write.

``lora/`` holds the language model's LoRA in peft's files; beside it ``diffusion_head/``
(LoRA, or the whole head) and the connectors as plain state dicts. All names are those
of the original checkpoint. Read by vibevoice-community/VibeVoice (b9d5612:
vibevoice/modular/lora_loading.py, vibevoice/scripts/merge_vibevoice_models.py), whose
head sits in a wrapper and so has ``base.`` before each path, and by
Enemyx-net/VibeVoice-ComfyUI (9185f53: nodes/base_vibevoice.py), which takes a whole
head only. Written by voicepowered-ai/VibeVoice-finetuning (98f9863:
src/finetune_vibevoice_lora.py).

All of them know the multi-speaker family. The realtime family has the same layout with
the upper part in the language model's place; its classifier and type embedding stand in
folders of their own, which only this package reads.
"""

from pathlib import Path

from torch import Tensor

from espnet_vibevoice.adapters.adapter import Adapter, LoraFactors
from espnet_vibevoice.adapters.parts import HEAD, LINEAR_LAYERS, get_family
from espnet_vibevoice.adapters.peft_folder import (
    CONFIG_NAME,
    LONG_KNOWN_KEYS,
    PeftFolder,
    has_peft_files,
    read_peft_folder,
    write_peft_folder,
)
from espnet_vibevoice.adapters.plan import LoraSettings, TrainingPlan
from espnet_vibevoice.adapters.tensor_files import load_tensors, save_tensors
from espnet_vibevoice.models.checkpoint import original_name_in, our_name_in

ROOT = "lora"
HEAD_FOLDER = "diffusion_head"
_HEAD_WRAPPER = "base."
_WHOLE_HEAD = "diffusion_head_full.bin"
_STATE_NAME = "pytorch_model.bin"
_LANGUAGE_MODEL_CLASS = "Qwen2Model"
# The part whose LoRA lies in `lora/` itself.
_MAIN_PARTS = {
    "vibevoice": "language_model",
    "vibevoice_streaming": "tts_language_model",
}
_LANGUAGE_MODELS = ("language_model", "tts_language_model")


def write_community(adapter: Adapter, folder: Path) -> None:
    """Write an adapter as ``folder/lora``.

    Args:
        adapter (Adapter): The adapter.
        folder (Path): Folder to write into.

    Raises:
        ValueError: If the layout has no place for one of its parts.
    """
    _check_expressible(adapter)
    root = folder / ROOT
    main = _MAIN_PARTS[adapter.model_type]
    for part, layers in adapter.lora.items():
        settings = adapter.plan.lora[part]
        if part == main:
            lora = PeftFolder(settings, layers, adapter.base)
            write_peft_folder(
                lora,
                root,
                targets=settings.targets,
                module_class=_LANGUAGE_MODEL_CLASS,
                keys=LONG_KNOWN_KEYS,
            )
            continue
        wrapped = {
            _HEAD_WRAPPER + rename_layer(part, path): factors
            for path, factors in layers.items()
        }
        write_peft_folder(
            PeftFolder(settings, wrapped, adapter.base),
            root / HEAD_FOLDER,
            targets=wrapped,
            keys=LONG_KNOWN_KEYS,
        )
    for part, weights in adapter.full.items():
        state = rename_weights(part, weights)
        if part == HEAD:
            save_tensors(state, root / HEAD_FOLDER / "model.safetensors")
            save_tensors(state, root / _WHOLE_HEAD)
        else:
            save_tensors(state, root / part / _STATE_NAME)


def find_community_root(folder: Path) -> Path | None:
    """Find the folder that holds the layout.

    Args:
        folder (Path): ``lora`` itself or the folder above it.

    Returns:
        Path | None: The folder; None if there is nothing of it.
    """
    names = (HEAD_FOLDER, _WHOLE_HEAD, "acoustic_connector", "semantic_connector")
    for root in (folder / ROOT, folder):
        if has_peft_files(root) or any((root / name).exists() for name in names):
            return root
    return None


def read_community(root: Path, model_type: str) -> Adapter:
    """Read an adapter in this layout, ours or another tool's.

    Args:
        root (Path): Folder that holds the layout, see `find_community_root`.
        model_type (str): Family, which the files do not tell.

    Returns:
        Adapter: With a plan that follows from the files; no fingerprint.

    Raises:
        FileNotFoundError: If a file is absent that another one needs.
        ValueError: If a file is damaged, or a name is none of the original's.
    """
    family = get_family(model_type)
    main = _MAIN_PARTS[model_type]
    settings: dict[str, LoraSettings] = {}
    lora: dict[str, dict[str, LoraFactors]] = {}
    full: dict[str, dict[str, Tensor]] = {}
    base = None
    if has_peft_files(root):
        found = read_peft_folder(root)
        base = found.base
        lora[main], settings[main] = dict(found.layers), found.settings
    if has_peft_files(root / HEAD_FOLDER):
        found = read_peft_folder(root / HEAD_FOLDER)
        lora[HEAD] = {
            _our_layer(HEAD, path.removeprefix(_HEAD_WRAPPER)): factors
            for path, factors in found.layers.items()
        }
        settings[HEAD] = found.settings
    for part in family.parts:
        path = None if part in lora else _find_state(root, part)
        if path is not None:
            full[part] = restore_weights(part, load_tensors(path))
    if not lora and not full:
        raise FileNotFoundError(
            f"{root}: holds neither {CONFIG_NAME} nor weights of a part in the "
            "community layout. Give the folder that has lora/ in it."
        )
    plan = TrainingPlan(
        "custom",
        full=tuple(full),
        lora={
            part: set_targets(part, lora[part], own) for part, own in settings.items()
        },
    )
    return Adapter(
        model_type, base or "a base that it does not name", None, plan, lora, full
    )


def rename_weights(part: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give weights of a part the original's names."""
    return {original_name_in(part, name): weights[name] for name in weights}


def restore_weights(part: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give weights of a part our names.

    Raises:
        ValueError: If a name is none of the original's.
    """
    return {our_name_in(part, name): weights[name] for name in weights}


def rename_layer(part: str, path: str) -> str:
    """Path of a layer in the original."""
    return original_name_in(part, f"{path}.weight").removesuffix(".weight")


def set_targets(
    part: str, layers: dict[str, LoraFactors], settings: LoraSettings
) -> LoraSettings:
    """Return settings that name the layers of ours that have factors."""
    leaves = {path.rpartition(".")[2] for path in layers}
    known = [name for name in LINEAR_LAYERS[part] if name in leaves]
    targets = (*known, *sorted(leaves - set(known)))
    return LoraSettings(
        targets,
        rank=settings.rank,
        alpha=settings.alpha,
        dropout=settings.dropout,
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
    )


def _our_layer(part: str, path: str) -> str:
    return our_name_in(part, f"{path}.weight").removesuffix(".weight")


def _find_state(root: Path, part: str) -> Path | None:
    """Find the file of a part trained in full."""
    if part == HEAD:
        names = [f"{HEAD_FOLDER}/model.safetensors", f"{HEAD_FOLDER}/{_WHOLE_HEAD}"]
        places = [root / name for name in (*names, _WHOLE_HEAD)]
    else:
        places = [root / part / "model.safetensors", root / part / _STATE_NAME]
    return next((path for path in places if path.is_file()), None)


def _check_expressible(adapter: Adapter) -> None:
    """Raise ValueError if a part has no place in the layout."""
    places = (_MAIN_PARTS[adapter.model_type], HEAD)
    homeless = [f"LoRA of {part}" for part in adapter.lora if part not in places]
    homeless += [f"the whole {p}" for p in adapter.full if p in _LANGUAGE_MODELS]
    if homeless:
        raise ValueError(
            f"{', '.join(homeless)}: the community layout has no place for it. Give "
            "--format peft, or merge_adapter, which writes a base that every tool "
            "reads."
        )
