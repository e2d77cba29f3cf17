"""Sizes of a multi-speaker checkpoint, drawn, in the original form."""

import random
from typing import Any

from fixture_parts import RATIOS


def draw_multispeaker_config(draw: random.Random, vocab_size: int) -> dict[str, Any]:
    """Draw the sizes of a model in the original form.

    Args:
        draw (random.Random): Source.
        vocab_size (int): Size of the vocabulary.
    """
    heads, head_dim = draw.choice([(2, 16), (4, 8), (4, 16), (6, 8)])
    hidden, latent_dim = heads * head_dim, draw.choice([3, 6, 16])
    ratios = draw.choice(RATIOS)
    semantic_dim = draw.choice([5, 8, 12])
    return {
        "model_type": "vibevoice",
        "acoustic_vae_dim": latent_dim,
        "semantic_vae_dim": semantic_dim,
        "acoustic_tokenizer_config": {
            **_draw_codec_config(draw, ratios, latent_dim, "acoustic"),
            "decoder_depths": None,
            "decoder_n_filters": draw.randint(2, 3),
            "decoder_ratios": ratios,
            "fix_std": 0.5,
            "std_dist_type": "gaussian",
        },
        "semantic_tokenizer_config": {
            **_draw_codec_config(draw, ratios, semantic_dim, "semantic"),
            "fix_std": 0,
            "std_dist_type": "none",
        },
        "decoder_config": {
            "model_type": "qwen2",
            "attention_dropout": 0.0,
            "hidden_act": "silu",
            "hidden_size": hidden,
            "initializer_range": 0.02,
            "intermediate_size": draw.choice([24, 40]),
            "max_position_embeddings": 1024,
            "num_attention_heads": heads,
            "num_hidden_layers": draw.randint(1, 3),
            "num_key_value_heads": draw.choice([1, 2]),
            "rms_norm_eps": 1e-6,
            "rope_theta": draw.choice([1e4, 1e6]),
            "tie_word_embeddings": draw.random() < 0.5,
            "vocab_size": vocab_size,
        },
        "diffusion_head_config": {
            "model_type": "vibevoice_diffusion_head",
            "ddpm_batch_mul": 4,
            "ddpm_beta_schedule": "cosine",
            "ddpm_num_inference_steps": 10,
            "ddpm_num_steps": 1000,
            "diffusion_type": "ddpm",
            "head_ffn_ratio": draw.choice([1.0, 2.0]),
            "head_layers": draw.randint(1, 2),
            "hidden_size": hidden,
            "latent_size": latent_dim,
            "prediction_type": "v_prediction",
            "rms_norm_eps": 1e-5,
            "speech_vae_dim": latent_dim,
        },
        "torch_dtype": "float32",
    }


def _draw_codec_config(
    draw: random.Random, ratios: list[int], dim: int, kind: str
) -> dict[str, Any]:
    """Draw what the configurations of both codecs share."""
    depths = [draw.randint(1, 2) for _ in range(len(ratios) + 1)]
    return {
        "model_type": f"vibevoice_{kind}_tokenizer",
        "causal": True,
        "channels": 1,
        "conv_bias": True,
        "conv_norm": "none",
        "corpus_normalize": 0.0,
        "disable_last_norm": True,
        "encoder_depths": "-".join(map(str, depths)),
        "encoder_n_filters": draw.randint(2, 3),
        "encoder_ratios": ratios,
        "layer_scale_init_value": 1e-6,
        "layernorm": "RMSNorm",
        "layernorm_elementwise_affine": True,
        "layernorm_eps": 1e-5,
        "mixer_layer": "depthwise_conv",
        "pad_mode": "constant",
        "vae_dim": dim,
        "weight_init_value": 0.01,
    }
