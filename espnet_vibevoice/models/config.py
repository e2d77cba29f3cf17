"""The ``config.json`` of a base, of either family, read into its sizes.

The realtime family's own is here: one backbone that is split in two. The sections of
both families are read by `config_parts`, the other family by `multispeaker_config`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import Qwen2Config

from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.config_parts import (
    CodecShape,
    SpeechConfig,
    check_diffusion,
    find_token_ids,
    parse_backbone_config,
    parse_decoder_config,
    parse_encoder_config,
    parse_head_config,
)
from espnet_vibevoice.models.multispeaker_config import (
    MULTISPEAKER_TYPE,
    MultispeakerConfig,
    SpeechTokens,
    parse_multispeaker_config,
)
from espnet_vibevoice.models.native import is_native, read_native_config

REALTIME_TYPE = "vibevoice_streaming"
NEGATIVE_PROMPT_TOKEN = "<|image_pad|>"
QWEN_NEGATIVE_PROMPT_ID = 151655  # of that token in the Qwen2.5 tokenizers


@dataclass(frozen=True, kw_only=True)
class RealtimeConfig(SpeechConfig):
    """Sizes of every part of a realtime model; ``language_model`` has no final norm.

    Args:
        tts_language_model (Qwen2Config): Upper part: text and speech positions.
        negative_prompt_id (int | None): Token id that the unconditional branch reads
            instead of text; None if the base does not tell.
    """

    tts_language_model: Qwen2Config
    negative_prompt_id: int | None


def load_config(folder: Path) -> RealtimeConfig | MultispeakerConfig:
    """Read ``config.json`` (and the ids of special tokens) of a base folder.

    Args:
        folder (Path): Base folder.

    Returns:
        RealtimeConfig | MultispeakerConfig: The sizes.

    Raises:
        FileNotFoundError: If there is no ``config.json``.
        ValueError: If it is not JSON or not of a VibeVoice model.
    """
    original = read_config_file(folder)
    path, token_ids = folder / "config.json", find_token_ids(folder)
    try:
        if original.get("model_type") != MULTISPEAKER_TYPE:
            return parse_config(original, token_ids.get(NEGATIVE_PROMPT_TOKEN))
        tokens = SpeechTokens.find(token_ids)
        if is_native(original):
            original, native_ids = read_native_config(original)
            tokens = SpeechTokens(*native_ids)
        return parse_multispeaker_config(original, tokens)
    except KeyError as err:
        raise ValueError(
            f"{path}: the key {err} is missing. Fetch the base again, or give a base "
            f"in the original format (model_type {REALTIME_TYPE} or "
            f"{MULTISPEAKER_TYPE})."
        ) from err
    except ValueError as err:
        raise ValueError(f"{path}: {err}") from err


def read_config_file(folder: Path) -> dict[str, Any]:
    """Read the ``config.json`` of a base folder as it is.

    Args:
        folder (Path): Base folder.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not a JSON mapping.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. Give the folder of a VibeVoice base."
        )
    try:
        original = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise ValueError(f"{path}: not valid JSON ({err}). Fetch it again.") from err
    if not isinstance(original, dict):
        raise ValueError(f"{path}: holds no mapping. Fetch it again.")
    return original


def read_codec_shape(base: str) -> CodecShape:
    """Read the sizes of a base's codec, without its weights.

    Args:
        base (str): Base, see `base_folder.resolve_base`.

    Returns:
        CodecShape: Sampling rate, hop and latent size.
    """
    return load_config(resolve_base(base)).codec_shape


def parse_config(
    original: dict[str, Any], negative_prompt_id: int | None = None
) -> RealtimeConfig:
    """Translate an original configuration of a realtime model.

    Args:
        original (dict): Content of an original ``config.json``.
        negative_prompt_id (int | None): Id of ``<|image_pad|>``. If None, the id in
            Qwen2.5's vocabulary is taken where the vocabulary is large enough.

    Returns:
        RealtimeConfig: The sizes.

    Raises:
        ValueError: If it describes another kind of model.
        KeyError: If a needed key is absent.
    """
    model_type = original.get("model_type")
    if model_type != REALTIME_TYPE:
        raise ValueError(
            f"model_type is {model_type!r}, a realtime base has {REALTIME_TYPE!r}. "
            "Give a base of the realtime family, or choose the tts class of this base."
        )
    backbone = original["decoder_config"]
    head = original["diffusion_head_config"]
    check_diffusion(head)
    num_upper = original["tts_backbone_num_hidden_layers"]
    num_lower = backbone["num_hidden_layers"] - num_upper
    if negative_prompt_id is None and backbone["vocab_size"] > QWEN_NEGATIVE_PROMPT_ID:
        negative_prompt_id = QWEN_NEGATIVE_PROMPT_ID
    codec = original["acoustic_tokenizer_config"]
    return RealtimeConfig(
        model_type=REALTIME_TYPE,
        language_model=parse_backbone_config(backbone, num_lower),
        # The upper part is fed hidden states: its embedding table is never read.
        tts_language_model=parse_backbone_config(
            {**backbone, "vocab_size": 1}, num_upper
        ),
        encoder=parse_encoder_config(codec),
        decoder=parse_decoder_config(codec),
        prediction_head=parse_head_config(head),
        num_train_timesteps=head["ddpm_num_steps"],
        negative_prompt_id=negative_prompt_id,
        original=original,
    )
