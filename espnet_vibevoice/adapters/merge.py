"""LoRA merged into plain weights, and a base with an adapter written as a new base."""

import shutil
from pathlib import Path

import torch
from torch import nn

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.effect import LoadReport, measure_effect, report_load
from espnet_vibevoice.adapters.loading import adapt_model, check_base
from espnet_vibevoice.adapters.lora import ADAPTER_NAME, list_lora_layers
from espnet_vibevoice.adapters.new_folder import make_new_folder
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.checkpoint import UNUSED_EMBEDDING, find_weights, save_base
from espnet_vibevoice.models.fingerprint import fingerprint_weights
from espnet_vibevoice.models.known_tokens import knows_tokens, tell_tokens
from espnet_vibevoice.models.loading import load_model
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.speech_model import SpeechModel
from espnet_vibevoice.text.tokenizer import load_tokenizer

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MAX_SCALE = 1.5
# Of a base: its weights, which are written anew, and its description of itself.
_NOT_TAKEN = shutil.ignore_patterns(
    "*.safetensors", "*.safetensors.index.json", "config.json", "README.md", ".*"
)


def merge_lora(model: nn.Module) -> None:
    """Replace layers with LoRA by plain ones whose weights do the same.

    The arithmetic is peft's: plain, rsLoRA and DoRA.

    Args:
        model (nn.Module): Model after `lora.apply_plan`; changed in place.

    Raises:
        ValueError: If a layer is quantised, which a merged weight would not survive,
            or a merged weight is not finite.
    """
    for path, layer in list_lora_layers(model).items():
        if not layer.get_base_layer().weight.is_floating_point():
            raise ValueError(
                f"{path} is quantised: load the base without quantize_base and merge "
                "into that."
            )
        layer.merge(safe_merge=True, adapter_names=[ADAPTER_NAME])
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, layer.get_base_layer())


@torch.no_grad()
def blend(base_model: nn.Module, model: nn.Module, scale: float) -> None:
    """Move the weights of a merged model toward or away from the base's.

    Args:
        base_model (nn.Module): The base.
        model (nn.Module): The merged model; changed in place.
        scale (float): 0 gives the base, 1 leaves the model as it is.
    """
    for name, base in base_model.named_parameters():
        weight = model.get_parameter(name)
        if weight is not base:  # frozen parts are shared
            weight.copy_(torch.lerp(base, weight, scale))


def merge_adapter(
    base_model: SpeechModel, adapter: Adapter, scale: float = 1.0
) -> tuple[SpeechModel, LoadReport]:
    """Merge an adapter into a base.

    Args:
        base_model (SpeechModel): The base, float32; left as it was.
        adapter (Adapter): The adapter.
        scale (float): Strength, above 0 to 1.5; 1 is as trained.

    Returns:
        tuple: The merged model, which shares its frozen parts with the base, and what
        the adapter changes at strength 1.

    Raises:
        ValueError: If the scale is out of range, or the adapter does not fit or
            changes nothing.
    """
    if not 0 < scale <= MAX_SCALE:
        raise ValueError(f"scale {scale}: give a number above 0, up to {MAX_SCALE}.")
    model = adapt_model(base_model, adapter)
    report = report_load("to merge", base_model, adapter, model)
    merge_lora(model)
    if scale != 1:
        blend(base_model, model, scale)
    return model, report


def write_merged_base(
    base: str,
    adapter: Adapter,
    out: Path,
    *,
    dtype: str = "float32",
    scale: float = 1.0,
    layout: str = "original",
) -> LoadReport:
    """Write a base with an adapter merged in.

    Args:
        base (str): The base, see `base_folder.resolve_base`; never quantised.
        adapter (Adapter): The adapter.
        out (Path): Folder to make.
        dtype (str): float32 | bfloat16: type of the weights in the files.
        scale (float): Strength, above 0 to 1.5.
        layout (str): original | native, the format of transformers' own class.

    Returns:
        LoadReport: What the adapter changes.

    Raises:
        FileExistsError: If ``out`` holds something.
        FileNotFoundError: If there is no such base.
        ValueError: As in `merge_adapter`, or if the adapter is of another base, or
            the family has no native format.
    """
    with make_new_folder(out) as temporary:
        source = resolve_base(base)
        check_base(adapter, base, fingerprint_weights(source))
        model, report = merge_adapter(load_model(base), adapter, scale)
        model = model.to(DTYPES[dtype])
        _copy_other_files(source, temporary)
        _save(model, source, temporary, layout)
        written = load_model(str(temporary), DTYPES[dtype])
        difference = measure_effect(model, written)
        if difference:
            raise RuntimeError(
                f"{out}: the written base differs from the merged model by "
                f"{difference:.1e}. Check the disk and run again."
            )
    return report


def _save(model: SpeechModel, source: Path, folder: Path, layout: str) -> None:
    """Write the weights and the configuration of a model made from a base."""
    if layout == "original":
        keep_unused = UNUSED_EMBEDDING in find_weights(source)
        save_base(model, model.config.original, folder, keep_unused)
        return
    if not isinstance(model, MultispeakerModel):
        raise ValueError(
            "transformers has no class for the realtime family, so there is no native "
            "format of it. Leave --format original."
        )
    if not knows_tokens(model):
        tell_tokens(model, load_tokenizer(source))
    model.save_native(folder)


def _copy_other_files(source: Path, folder: Path) -> None:
    """Take the tokenizer and whatever else a base brings along."""
    names = sorted(path.name for path in source.iterdir())
    left_out = _NOT_TAKEN(str(source), names)
    for name in names:
        path = source / name
        if name in left_out:
            continue
        if path.is_dir():
            shutil.copytree(path, folder / name, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(path, folder / name)
