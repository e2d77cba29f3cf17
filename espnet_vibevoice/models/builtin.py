"""The released models by name, built on the meta device: sizes without weights.

Sizes are those of the published configurations. In wildminder/ComfyUI-VibeVoice:
``default_VibeVoice-Realtime-0.5B_config.json`` (99b3526), and microsoft/VibeVoice's
``vibevoice/configs/``: ``qwen2.5_1.5b_64k.json`` (d5d17c8), ``qwen2.5_7b_32k.json``
(52cee71).
"""

from typing import Any

import torch
from torch import nn

from espnet_vibevoice.models.config import REALTIME_TYPE, parse_config
from espnet_vibevoice.models.memory import CODEC_PARTS
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import (
    MULTISPEAKER_TYPE,
    parse_multispeaker_config,
)
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.speech_model import SpeechModel


def load_builtin(name: str) -> dict[str, Any]:
    """Make the configuration of a released model in the original form.

    Args:
        name (str): realtime-0.5b | 1.5b | 7b.

    Raises:
        ValueError: If there is no such model.
    """
    if name == "realtime-0.5b":
        backbone = _backbone(896, 24, (14, 2), 4864, 151936, 8192, is_tied=False)
        return _released(REALTIME_TYPE, backbone) | {
            "tts_backbone_num_hidden_layers": 20
        }
    if name == "1.5b":
        backbone = _backbone(1536, 28, (12, 2), 8960, 151936, 65536, is_tied=True)
    elif name == "7b":
        backbone = _backbone(3584, 28, (28, 4), 18944, 152064, 32768, is_tied=False)
    else:
        raise ValueError(
            f"{name!r} is no built-in model: choose one of {', '.join(BUILTIN_NAMES)}."
        )
    return _released(MULTISPEAKER_TYPE, backbone) | {
        "semantic_tokenizer_config": _codec(128, fix_std=0),
        "semantic_vae_dim": 128,
    }


BUILTIN_NAMES = ("realtime-0.5b", "1.5b", "7b")


def build_empty(original: dict[str, Any], has_encoder: bool = True) -> SpeechModel:
    """Build a model of either family on the meta device.

    Args:
        original (dict): Configuration in the original form.
        has_encoder (bool): Whether the codec gets an acoustic encoder.

    Returns:
        SpeechModel: The model, without parameters' values.

    Raises:
        ValueError: If it describes neither family.
        KeyError: If a needed key is absent.
    """
    with torch.device("meta"):
        if original.get("model_type") == MULTISPEAKER_TYPE:
            config = parse_multispeaker_config(original)
            return MultispeakerModel(config, has_encoder)
        return RealtimeModel(parse_config(original), has_encoder)


def build_parts(
    original: dict[str, Any], has_encoder: bool = True
) -> dict[str, nn.Module]:
    """Build the parts of either family on the meta device.

    Args:
        original (dict): Configuration in the original form.
        has_encoder (bool): Whether a realtime model gets an acoustic encoder; models
            of the other family always have theirs.

    Returns:
        dict[str, nn.Module]: Parts by the original's names, such as
            ``acoustic_tokenizer.decoder``; without parameters' values. A tied
            ``lm_head`` is none, it has no weight of its own.

    Raises:
        ValueError: If it describes neither family.
        KeyError: If a needed key is absent.
    """
    is_multispeaker = original.get("model_type") == MULTISPEAKER_TYPE
    model = build_empty(original, has_encoder or is_multispeaker)
    parts = {}
    for name, part in model.named_children():
        if name in CODEC_PARTS:
            parts |= {f"{name}.{half}": m for half, m in part.named_children()}
        elif list(part.parameters()):
            parts[name] = part
    return parts


def _released(model_type: str, backbone: dict[str, Any]) -> dict[str, Any]:
    """What all released models share."""
    return {
        "model_type": model_type,
        "torch_dtype": "bfloat16",
        "acoustic_vae_dim": 64,
        "acoustic_tokenizer_config": _codec(64, fix_std=0.5),
        "decoder_config": backbone,
        "diffusion_head_config": {
            "ddpm_batch_mul": 4,
            "ddpm_beta_schedule": "cosine",
            "ddpm_num_inference_steps": 20,
            "ddpm_num_steps": 1000,
            "diffusion_type": "ddpm",
            "head_ffn_ratio": 3.0,
            "head_layers": 4,
            "hidden_size": backbone["hidden_size"],
            "latent_size": 64,
            "prediction_type": "v_prediction",
            "rms_norm_eps": 1e-5,
            "speech_vae_dim": 64,
        },
    }


def _backbone(
    hidden_size: int,
    num_layers: int,
    heads: tuple[int, int],
    intermediate_size: int,
    vocab_size: int,
    max_positions: int,
    *,
    is_tied: bool,
) -> dict[str, Any]:
    """Sizes of a Qwen2.5; heads are those of queries and of keys and values."""
    return {
        "model_type": "qwen2",
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "hidden_size": hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": intermediate_size,
        "max_position_embeddings": max_positions,
        "num_attention_heads": heads[0],
        "num_hidden_layers": num_layers,
        "num_key_value_heads": heads[1],
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": is_tied,
        "vocab_size": vocab_size,
    }


def _codec(latent_dim: int, fix_std: float) -> dict[str, Any]:
    """Sizes of a tokenizer; the decoder, where there is one, mirrors the encoder."""
    ratios = [8, 5, 5, 4, 2, 2]
    return {
        "channels": 1,
        "decoder_depths": None,
        "decoder_n_filters": 32,
        "decoder_ratios": ratios,
        "encoder_depths": "3-3-3-3-3-3-8",
        "encoder_n_filters": 32,
        "encoder_ratios": ratios,
        "fix_std": fix_std,
        "layer_scale_init_value": 1e-6,
        "layernorm_eps": 1e-5,
        "vae_dim": latent_dim,
        "weight_init_value": 0.01,
    }
