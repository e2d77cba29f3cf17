"""The format of transformers' own ``VibeVoiceForConditionalGeneration``.

Tensors are the same as in the original format, only names and the configuration differ.
Inside a part our names are transformers' already, so a name changes at its start alone.
"""

from typing import Any

from transformers import VibeVoiceConfig

from espnet_vibevoice.models.multispeaker_config import (
    MULTISPEAKER_TYPE,
    MultispeakerConfig,
    SpeechTokens,
)

NATIVE_START = "model.audio_tower."  # no name of the original starts so
ARCHITECTURE = "VibeVoiceForConditionalGeneration"
# Start of our names to start of the native ones; compared in this order.
_STARTS = {
    "acoustic_tokenizer.": "model.audio_tower.",
    "semantic_tokenizer.encoder.": "model.semantic_tokenizer_encoder.",
    "acoustic_connector.": "model.multi_modal_projector.",
    "semantic_connector.": "model.semantic_connector.",
    "prediction_head.": "model.diffusion_head.",
    "language_model.": "model.language_model.",
    "speech_scaling_factor": "model.latent_scaling_factor",
    "speech_bias_factor": "model.latent_bias_factor",
    "lm_head.": "lm_head.",
}
_FIX_STD_SHARE = 0.8  # the original's deviation is drawn with fix_std / 0.8
_FIXED_CODEC = {  # what native models cannot change
    "causal": True,
    "conv_bias": True,
    "conv_norm": "none",
    "corpus_normalize": 0.0,
    "disable_last_norm": True,
    "layernorm": "RMSNorm",
    "layernorm_elementwise_affine": True,
    "mixer_layer": "depthwise_conv",
    "pad_mode": "constant",
}


def native_name(name: str) -> str:
    """Name of a weight in native files.

    Args:
        name (str): Name in ``MultispeakerModel.state_dict()``.

    Raises:
        ValueError: If the native model has no such weight.

    Example:
        >>> native_name("acoustic_connector.linear_1.bias")
        'model.multi_modal_projector.linear_1.bias'
    """
    for ours, native in _STARTS.items():
        if name.startswith(ours):
            return native + name.removeprefix(ours)
    raise ValueError(
        f"{name}: transformers' {ARCHITECTURE} has no such weight. Only a model of the "
        "multi-speaker family can be written in its format."
    )


def our_native_name(name: str) -> str | None:
    """Our name of a weight in native files: undoes `native_name`.

    Args:
        name (str): Name in a native file.

    Returns:
        str | None: Our name; None if it is no native name.
    """
    for ours, native in _STARTS.items():
        if name.startswith(native):
            return ours + name.removeprefix(native)
    return None


def is_native(config: dict[str, Any]) -> bool:
    """Tell whether a ``config.json`` is transformers' own.

    Args:
        config (dict): Its content.
    """
    return "text_config" in config and "audio_config" in config


def read_native_config(
    native: dict[str, Any],
) -> tuple[dict[str, Any], tuple[int, int, int, int]]:
    """Translate a native configuration to the original form.

    Args:
        native (dict): Content of a native ``config.json``.

    Returns:
        tuple: Configuration in the original form, and the ids of speech start, speech
            end, speech diffusion and end of text.
    """
    config = VibeVoiceConfig.from_dict(native)
    text, head = config.text_config, config.diffusion_head_config
    original = {
        "model_type": MULTISPEAKER_TYPE,
        "architectures": [ARCHITECTURE],
        "acoustic_vae_dim": config.audio_config.hidden_size,
        "semantic_vae_dim": config.semantic_model_config.hidden_size,
        "acoustic_tokenizer_config": _original_codec(config.audio_config),
        "semantic_tokenizer_config": {
            **_original_codec(config.semantic_model_config),
            "fix_std": 0,
            "std_dist_type": "none",
            "model_type": "vibevoice_semantic_tokenizer",
        },
        "decoder_config": _original_backbone(text),
        "diffusion_head_config": {
            "ddpm_batch_mul": 4,
            "ddpm_beta_schedule": "cosine",
            "ddpm_num_inference_steps": 20,
            "ddpm_num_steps": 1000,
            "diffusion_type": "ddpm",
            "head_ffn_ratio": head.intermediate_size / head.hidden_size,
            "head_layers": head.num_hidden_layers,
            "hidden_size": head.hidden_size,
            "latent_size": head.latent_size,
            "model_type": "vibevoice_diffusion_head",
            "prediction_type": "v_prediction",
            "rms_norm_eps": head.rms_norm_eps,
            "speech_vae_dim": head.latent_size,
        },
    }
    ids = (
        config.audio_bos_token_id,
        config.audio_eos_token_id,
        config.audio_token_id,
        config.eos_token_id,
    )
    return original, ids


def _original_codec(codec: Any) -> dict[str, Any]:
    """Name a codec's sizes as the original does."""
    ratios = list(reversed(codec.downsampling_ratios))
    return {
        **_FIXED_CODEC,
        "channels": codec.channels,
        "decoder_depths": None,
        "decoder_n_filters": codec.num_filters,
        "decoder_ratios": ratios,
        "encoder_depths": "-".join(map(str, codec.depths)),
        "encoder_n_filters": codec.num_filters,
        "encoder_ratios": ratios,
        "fix_std": codec.vae_std * _FIX_STD_SHARE,
        "layer_scale_init_value": codec.layer_scale_init_value,
        "layernorm_eps": codec.rms_norm_eps,
        "model_type": "vibevoice_acoustic_tokenizer",
        "std_dist_type": "gaussian",
        "vae_dim": codec.hidden_size,
        "weight_init_value": codec.initializer_range,
    }


def _original_backbone(text: Any) -> dict[str, Any]:
    """Name the language model's sizes as the original does."""
    return {
        "model_type": "qwen2",
        "attention_dropout": text.attention_dropout,
        "hidden_act": text.hidden_act,
        "hidden_size": text.hidden_size,
        "initializer_range": text.initializer_range,
        "intermediate_size": text.intermediate_size,
        "max_position_embeddings": text.max_position_embeddings,
        "max_window_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_hidden_layers": text.num_hidden_layers,
        "num_key_value_heads": text.num_key_value_heads,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_scaling": None,
        "rope_theta": text.rope_parameters["rope_theta"],
        "sliding_window": None,
        "tie_word_embeddings": bool(text.tie_word_embeddings),
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": text.vocab_size,
    }


def make_native_config(
    config: MultispeakerConfig, tokens: SpeechTokens
) -> dict[str, Any]:
    """Translate a configuration to transformers' own form.

    Args:
        config (MultispeakerConfig): Sizes.
        tokens (SpeechTokens): Control tokens.

    Returns:
        dict: Content of a native ``config.json``.

    Raises:
        ValueError: If the native model cannot have these sizes.
    """
    encoder, decoder = config.encoder, config.decoder
    mirrored = list(reversed(encoder.depths)) == list(decoder.depths)
    if not mirrored or encoder.num_filters != decoder.num_filters:
        raise ValueError(
            "the decoder of the acoustic codec does not mirror its encoder (depths "
            f"{list(decoder.depths)} against {list(encoder.depths)}, filters "
            f"{decoder.num_filters} against {encoder.num_filters}), which "
            f"transformers' {ARCHITECTURE} asks for. Save in the original format."
        )
    native = VibeVoiceConfig(
        audio_config={
            **encoder.to_dict(),
            "model_type": "vibevoice_acoustic_tokenizer",
        },
        semantic_model_config=config.semantic_encoder.to_dict(),
        text_config=config.language_model.to_dict()
        | {"tie_word_embeddings": config.is_tied},
        diffusion_head_config=config.prediction_head.to_dict(),
        pad_token_id=tokens.end_of_text,
        eos_token_id=tokens.end_of_text,
        audio_bos_token_id=tokens.speech_start,
        audio_eos_token_id=tokens.speech_end,
        audio_token_id=tokens.speech_diffusion,
    )
    return native.to_dict() | {"architectures": [ARCHITECTURE]}
