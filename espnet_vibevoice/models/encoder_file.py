"""Codecs on disk: the base's decoder with its own encoder or one from elsewhere.

The released realtime base brings no acoustic encoder. One can be taken from another
checkpoint of either family, or from a safetensors file of the encoder alone. Our own
such files hold the sizes as metadata; names of weights are always the original's.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import (
    VibeVoiceAcousticTokenizerEncoderConfig,
    VibeVoiceAcousticTokenizerEncoderModel,
)

from espnet_vibevoice.data.atomic import explain_full_disk
from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.checkpoint import (
    CODEC_PREFIX,
    find_weights,
    has_encoder_weights,
    load_weights,
    original_name,
)
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.models.config_parts import SpeechConfig, parse_encoder_config

METADATA_KEY = "acoustic_encoder_config"
ENCODER_PREFIX = original_name(f"{CODEC_PREFIX}encoder.")
_ROOTS = ("downsample_layers.", "stages.", "head.")  # of names without a prefix
_SIZES = (
    "channels",
    "encoder_depths",
    "encoder_n_filters",
    "encoder_ratios",
    "fix_std",
    "layer_scale_init_value",
    "layernorm_eps",
    "vae_dim",
    "weight_init_value",
)

Encoder = VibeVoiceAcousticTokenizerEncoderModel
EncoderConfig = VibeVoiceAcousticTokenizerEncoderConfig


def load_codec(
    base: str,
    dtype: torch.dtype = torch.float32,
    acoustic_encoder: str | None = None,
) -> AcousticCodec:
    """Load the codec of a base, and nothing else of it.

    Args:
        base (str): Base, see `resolve_base`.
        dtype (torch.dtype): Type of the weights in memory.
        acoustic_encoder (str | None): Encoder that takes the place of the base's
            own: see `load_encoder`.

    Returns:
        AcousticCodec: The codec, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: If the base, the encoder or one of their files does not
            exist.
        ValueError: If it is another kind of model, its weights do not fit, or the
            encoder has other sizes than the base.
    """
    folder = resolve_base(base)
    config = load_config(folder)
    if acoustic_encoder is None:
        with torch.device("meta"):
            codec = AcousticCodec(config, has_encoder_weights(folder))
        load_weights(codec, folder, dtype, prefix=CODEC_PREFIX)
        return codec.eval()
    with torch.device("meta"):
        codec = AcousticCodec(config, has_encoder=False)
    load_weights(codec.decoder, folder, dtype, prefix=f"{CODEC_PREFIX}decoder.")
    codec.encoder = load_encoder(acoustic_encoder, config, dtype, base)
    return codec.requires_grad_(False).eval()


def load_encoder(
    acoustic_encoder: str,
    base_config: SpeechConfig,
    dtype: torch.dtype = torch.float32,
    base: str = "the base",
) -> Encoder:
    """Load an acoustic encoder and compare its sizes with those of a base.

    Args:
        acoustic_encoder (str): Checkpoint of either family (folder or hub id), or a
            ``.safetensors`` file with an encoder. Sizes are taken from the file's
            metadata, the ``config.json`` beside it, or else the base.
        base_config (SpeechConfig): Sizes of the base.
        dtype (torch.dtype): Type of the weights in memory.
        base (str): Name of the base, for messages.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it holds no encoder, weights do not fit its sizes, or latent
            size or hop are not the base's.
    """
    files, config_source = _find_encoder(acoustic_encoder)
    config = _read_sizes(acoustic_encoder, files, config_source) or base_config.encoder
    _check_sizes(acoustic_encoder, config, base, base_config)
    state = _read_encoder_weights(files, dtype)
    if not state:
        raise ValueError(
            f"{acoustic_encoder}: holds no acoustic encoder (no weight named "
            f"{ENCODER_PREFIX}*). Give a checkpoint that has one, or train one: "
            "python -m espnet_vibevoice.bin.train_encoder"
        )
    with torch.device("meta"):
        encoder = Encoder(config)
    names = _name_encoder_weights(encoder)
    expected = {names[key]: value for key, value in encoder.state_dict().items()}
    faults = [f"missing {name}" for name in sorted(expected.keys() - state.keys())]
    faults += [f"unexpected {name}" for name in sorted(state.keys() - expected.keys())]
    for name in sorted(expected.keys() & state.keys()):
        got, wanted = tuple(state[name].shape), tuple(expected[name].shape)
        if got != wanted:
            faults.append(f"wrong shape {name}: got {got}, wanted {wanted}")
    if faults:
        raise ValueError(
            f"{acoustic_encoder}: {len(faults)} weights of the encoder do not fit its "
            f"sizes: {summarize_faults(faults)}. Fetch it again, or lay the "
            "config.json that belongs to it beside it."
        )
    encoder.load_state_dict(
        {key: state[name] for key, name in names.items()}, assign=True
    )
    return encoder.requires_grad_(False).eval()


def save_encoder(codec: AcousticCodec, path: Path) -> None:
    """Write the encoder of a codec alone, with its sizes as metadata.

    Args:
        codec (AcousticCodec): Codec with an encoder.
        path (Path): File to write, by way of a temporary name beside it.

    Raises:
        OSError: If it cannot be written.
    """
    assert codec.encoder is not None
    names = _name_encoder_weights(codec.encoder)
    state = {
        ENCODER_PREFIX + names[key]: tensor.detach().cpu().contiguous()
        for key, tensor in codec.encoder.state_dict().items()
    }
    sizes = json.dumps(_original_sizes(codec.encoder.config), sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with explain_full_disk(path):
        temporary.touch()
        mode = temporary.stat().st_mode
        # one key only: safetensors writes several in any order
        save_file(state, temporary, metadata={METADATA_KEY: sizes})
        temporary.chmod(mode)  # safetensors makes files that nobody else may read
        os.replace(temporary, path)


def list_encoder_files(acoustic_encoder: str) -> list[Path]:
    """List the files that an encoder comes from, its configuration included.

    Args:
        acoustic_encoder (str): See `load_encoder`.
    """
    files, config_source = _find_encoder(acoustic_encoder)
    beside = [config_source] if config_source is not None else []
    return [*files, *beside]


def _find_encoder(acoustic_encoder: str) -> tuple[list[Path], Path | None]:
    """Files of weights and, if there is one, their ``config.json``."""
    path = Path(acoustic_encoder).expanduser()
    if path.suffix != ".safetensors":
        folder = resolve_base(acoustic_encoder)
        found = find_weights(folder)
        wanted = {file for name, file in found.items() if _short_name(name)}
        return sorted(wanted or set(found.values())), folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{acoustic_encoder}: no such file. Give the safetensors file of an "
            "acoustic encoder, or the folder or hub id of a checkpoint that has one."
        )
    beside = path.with_name("config.json")
    return [path], beside if beside.is_file() else None


def _read_sizes(
    acoustic_encoder: str, files: list[Path], config_source: Path | None
) -> EncoderConfig | None:
    """Sizes from the metadata, else from config.json, else None."""
    try:
        with safe_open(files[0], "pt") as weights:
            text = (weights.metadata() or {}).get(METADATA_KEY)
    except SafetensorError as err:
        raise ValueError(
            f"{files[0]}: not a safetensors file ({err}). Fetch it again."
        ) from err
    source: Path = files[0]
    if text is None:
        if config_source is None:
            return None
        source = config_source
        text = source.read_text(encoding="utf-8")
    try:
        config: dict[str, Any] = json.loads(text)
        return parse_encoder_config(config.get("acoustic_tokenizer_config", config))
    except ValueError as err:
        raise ValueError(f"{source}: not valid JSON ({err}). Fetch it again.") from err
    except KeyError as err:
        raise ValueError(
            f"{source}: the key {err} of the acoustic encoder is missing. Give a "
            f"checkpoint in the original format as {acoustic_encoder}."
        ) from err


def _check_sizes(
    acoustic_encoder: str, config: EncoderConfig, base: str, wanted: SpeechConfig
) -> None:
    """Raise ValueError unless latent size and hop are those of the base."""
    got = (config.hidden_size, config.hop_length)
    if got != (wanted.latent_dim, wanted.hop_samples):
        raise ValueError(
            f"{acoustic_encoder}: its encoder gives latents of {got[0]} dimensions "
            f"every {got[1]} samples, the decoder of {base} takes {wanted.latent_dim} "
            f"dimensions every {wanted.hop_samples} samples. Give an encoder that was "
            "trained for this decoder, or train one: python -m "
            "espnet_vibevoice.bin.train_encoder"
        )


def _read_encoder_weights(files: list[Path], dtype: torch.dtype) -> dict:
    """Weights of the encoder by their names inside the encoder."""
    state = {}
    for path in files:
        with safe_open(path, "pt") as weights:
            for name in weights.keys():
                short = _short_name(name)
                if short:
                    state[short] = weights.get_tensor(name).to(dtype, copy=True)
    return state


def _short_name(name: str) -> str:
    """Original name without the encoder's prefix; empty for other parts.

    Example:
        >>> _short_name("model.acoustic_tokenizer.encoder.head.conv.conv.bias")
        'head.conv.conv.bias'
    """
    for prefix in (ENCODER_PREFIX, f"{CODEC_PREFIX}encoder.", "encoder."):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name if name.startswith(_ROOTS) else ""


def _name_encoder_weights(encoder: Encoder) -> dict[str, str]:
    """Our name of each weight to the original's, both inside the encoder."""
    return {
        key: original_name(f"{CODEC_PREFIX}encoder.{key}").removeprefix(ENCODER_PREFIX)
        for key in encoder.state_dict()
    }


def _original_sizes(config: EncoderConfig) -> dict[str, Any]:
    """Undo `parse_encoder_config`."""
    values = (
        config.channels,
        "-".join(str(depth) for depth in config.depths),
        config.num_filters,
        list(reversed(config.downsampling_ratios)),
        config.vae_std * 0.8,
        config.layer_scale_init_value,
        config.rms_norm_eps,
        config.hidden_size,
        config.initializer_range,
    )
    return dict(zip(_SIZES, values, strict=True))
