"""Bases on disk: read their weights strictly, write one back.

A base is a folder in the original format: ``config.json`` and one or many
``.safetensors`` files. Names of weights are translated in one direction only (ours to
the original's), so reading and writing cannot disagree. Every weight that is missing,
unexpected or of a wrong shape is collected and reported by name.
"""

import json
import os
import re
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from espnet_vibevoice.errors import summarize_faults

WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
CODEC_PREFIX = "acoustic_tokenizer."
LOWER_EMBEDDING = "model.language_model.embed_tokens.weight"
# The upper part is fed hidden states. Its table is in the files but is never read.
UNUSED_EMBEDDING = "model.tts_language_model.embed_tokens.weight"

# Ours to the original's, tried in order, each on the result of the one before.
_RENAMES = [
    (r"^(?!tts_eos_classifier\.|lm_head\.)", "model."),
    (r"(\.(?:acoustic|semantic)_connector)\.linear_(\d)\.", r"\1.fc\2."),
    (r"(\.(?:acoustic|semantic)_connector)\.act\.", r"\1.norm."),
    (r"(\.prediction_head)\.timestep_proj\.fc1\.", r"\1.t_embedder.mlp.0."),
    (r"(\.prediction_head)\.timestep_proj\.fc2\.", r"\1.t_embedder.mlp.2."),
    (r"(\.prediction_head\.layers\.\d+)\.linear\.", r"\1.adaLN_modulation.1."),
    (r"(\.final_layer)\.linear_1\.", r"\1.adaLN_modulation.1."),
    (r"(\.final_layer)\.linear_2\.", r"\1.linear."),
    (r"(\.(?:en|de)coder)\.stem\.stage\.", r"\1.stages.0."),
    (r"(\.encoder)\.stem\.conv\.", r"\1.downsample_layers.0.0.conv."),
    (r"(\.decoder)\.stem\.conv\.", r"\1.upsample_layers.0.0.conv."),
    (r"(\.encoder)\.conv_layers\.(\d+)\.conv\.", r"\1.downsample_layers.+\2.0.conv."),
    (r"(\.decoder)\.conv_layers\.(\d+)\.convtr\.", r"\1.upsample_layers.+\2.0.convtr."),
    (r"(\.(?:en|de)coder)\.conv_layers\.(\d+)\.stage\.", r"\1.stages.+\2."),
    (r"\.mixer\.conv\.", ".mixer.conv.conv.conv."),
    (r"(\.(?:en|de)coder\.head)\.conv\.", r"\1.conv.conv."),
]
# The original's back to ours, inside a part other than the codec. Each result is
# translated forward and compared, so the two lists cannot disagree.
_RENAMES_BACK = [
    (r"^fc(\d)\.", r"linear_\1."),
    (r"^norm\.", "act."),
    (r"^t_embedder\.mlp\.0\.", "timestep_proj.fc1."),
    (r"^t_embedder\.mlp\.2\.", "timestep_proj.fc2."),
    (r"^(layers\.\d+)\.adaLN_modulation\.1\.", r"\1.linear."),
    (r"^final_layer\.linear\.", "final_layer.linear_2."),
    (r"^final_layer\.adaLN_modulation\.1\.", "final_layer.linear_1."),
]


def original_name(name: str) -> str:
    """Name of a weight in the original files.

    Args:
        name (str): Name in ``RealtimeModel.state_dict()``.

    Example:
        >>> original_name("acoustic_connector.linear_1.bias")
        'model.acoustic_connector.fc1.bias'
    """
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    # "+i": our layer i is the original's i + 1, because its stem is layer 0.
    return re.sub(r"\+(\d+)", lambda match: str(int(match[1]) + 1), name)


def original_name_in(part: str, name: str) -> str:
    """Name of a weight inside its part, as the original has it.

    Args:
        part (str): Part, such as ``prediction_head``.
        name (str): Our name inside the part.

    Example:
        >>> original_name_in("prediction_head", "layers.0.linear.weight")
        'layers.0.adaLN_modulation.1.weight'
    """
    start = original_name(f"{part}.x").removesuffix("x")
    return original_name(f"{part}.{name}").removeprefix(start)


def our_name_in(part: str, name: str) -> str:
    """Our name of a weight inside its part: undoes `original_name_in`.

    Args:
        part (str): Part other than the codec.
        name (str): The original's name inside the part.

    Raises:
        ValueError: If no weight of ours has that name in the original.
    """
    ours = name
    if part.endswith("_connector") or part == "prediction_head":
        for pattern, replacement in _RENAMES_BACK:
            ours = re.sub(pattern, replacement, ours)
    if original_name_in(part, ours) != name:
        raise ValueError(
            f"{part}: {name} is no name of a weight in the original format. Write "
            "the names as the original checkpoint has them."
        )
    return ours


def find_weights(folder: Path) -> dict[str, Path]:
    """List the weights of a base and the file that holds each.

    Args:
        folder (Path): Base folder.

    Returns:
        dict[str, Path]: Original name to ``.safetensors`` file.

    Raises:
        FileNotFoundError: If the folder or its index names a file that is absent.
        ValueError: If a file is not in the safetensors format or the index is broken.
    """
    index_path = folder / INDEX_NAME
    if index_path.is_file():
        files = sorted({folder / name for name in _read_index(index_path).values()})
    else:
        files = [folder / WEIGHTS_NAME]
    found = {}
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file. The base is incomplete: fetch it again."
            )
        try:
            with safe_open(path, "pt") as weights:
                found.update(dict.fromkeys(weights.keys(), path))
        except SafetensorError as err:
            raise ValueError(
                f"{path}: not a safetensors file ({err}). Fetch it again."
            ) from err
    return found


def _read_index(path: Path) -> dict[str, str]:
    """Read which file holds each weight of a base in several files."""
    try:
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(file) for name, file in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise ValueError(
            f"{path}: holds no weight_map of names to files ({type(err).__name__}: "
            f"{err}). Fetch the base again."
        ) from err


def has_encoder_weights(folder: Path) -> bool:
    """Whether a base brings an acoustic encoder (the released one does not).

    Args:
        folder (Path): Base folder.
    """
    prefix = f"model.{CODEC_PREFIX}encoder."
    return any(name.startswith(prefix) for name in find_weights(folder))


def load_weights(
    model: nn.Module, folder: Path, dtype: torch.dtype, prefix: str = ""
) -> None:
    """Fill a model, or one part of it, from a base; every weight must fit.

    Args:
        model (nn.Module): Model or part to fill; it may be on the meta device.
        folder (Path): Base folder.
        dtype (torch.dtype): Type of the loaded weights; buffers stay float32.
        prefix (str): Name of the part with a dot; empty for the whole model.

    Raises:
        ValueError: If weights are missing, unexpected or of a wrong shape.
    """
    expected = model.state_dict()
    wanted = {original_name(prefix + name): name for name in expected}
    start = original_name(prefix) if prefix else ""
    found = {k: v for k, v in find_weights(folder).items() if k.startswith(start)}
    unexpected = set(found) - set(wanted) - {UNUSED_EMBEDDING}
    faults = [f"missing {name}" for name in sorted(set(wanted) - set(found))]
    faults += [f"unexpected {name}" for name in sorted(unexpected)]
    buffers = {name for name, _ in model.named_buffers()}
    state = {}
    for path in sorted(set(found.values())):
        with safe_open(path, "pt") as weights:
            for name in sorted(set(weights.keys()) & set(wanted)):
                kind = torch.float32 if wanted[name] in buffers else dtype
                tensor = weights.get_tensor(name).to(dtype=kind, copy=True)
                state[wanted[name]] = tensor
                shape = tuple(expected[wanted[name]].shape)
                if tuple(tensor.shape) != shape:
                    faults.append(
                        f"wrong shape {name}: got {tuple(tensor.shape)}, wanted {shape}"
                    )
    if faults:
        raise ValueError(
            f"{folder}: {len(faults)} weights do not fit config.json: "
            f"{summarize_faults(faults)}. Fetch the base again, or give the "
            "config.json that belongs to these weights."
        )
    model.load_state_dict(state, assign=True)


def save_base(
    model: nn.Module, original: dict, folder: Path, keep_unused: bool = True
) -> None:
    """Write a model as a base in the original format.

    The upper part's unused embedding table is written as a copy of the lower part's,
    because readers of the original format ask for it. Without it the base has our own
    form: the same files and names, smaller by that table.

    Args:
        model (nn.Module): A `RealtimeModel`.
        original (dict): Its configuration in the original form.
        folder (Path): Folder to write into; made if absent.
        keep_unused (bool): Whether to write that table.

    Raises:
        FileExistsError: If the folder holds a base in several files.
    """
    if (folder / INDEX_NAME).exists():
        raise FileExistsError(
            f"{folder}: holds a base in several files. Give another folder."
        )
    state = {
        original_name(name): tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    if keep_unused:
        state[UNUSED_EMBEDDING] = state[LOWER_EMBEDDING].clone()
    dtype = str(state[LOWER_EMBEDDING].dtype).removeprefix("torch.")
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**original, "torch_dtype": dtype}, indent=2, sort_keys=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tmp-") as temporary:
        weights_path = Path(temporary) / WEIGHTS_NAME
        config_path = Path(temporary) / "config.json"
        save_file(state, weights_path, metadata={"format": "pt"})
        config_path.write_text(text + "\n", encoding="utf-8")
        # safetensors makes files that nobody else may read.
        weights_path.chmod(config_path.stat().st_mode)
        os.replace(weights_path, folder / WEIGHTS_NAME)
        os.replace(config_path, folder / "config.json")
