"""A tiny realtime model and batches for the tests of the models."""

import copy

import pytest
import torch

from espnet_vibevoice.models.calibration import calibrate_codec, set_unit_gain
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.realtime import RealtimeModel

NEGATIVE_PROMPT_ID = 31
LATENT_DIM = 4
ORIGINAL = {
    "model_type": "vibevoice_streaming",
    "tts_backbone_num_hidden_layers": 2,
    "acoustic_tokenizer_config": {
        "channels": 1,
        "decoder_depths": None,
        "decoder_n_filters": 1,
        "decoder_ratios": [8, 5, 5, 4, 2, 2],
        "encoder_depths": "1-1-1-1-1-1-2",
        "encoder_n_filters": 1,
        "encoder_ratios": [8, 5, 5, 4, 2, 2],
        "fix_std": 0.5,
        "layer_scale_init_value": 0.3,
        "layernorm_eps": 1e-5,
        "vae_dim": LATENT_DIM,
        "weight_init_value": 0.01,
    },
    "decoder_config": {
        "hidden_act": "silu",
        "hidden_size": 16,
        "initializer_range": 0.2,
        "intermediate_size": 16,
        "max_position_embeddings": 512,
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "vocab_size": 32,
    },
    "diffusion_head_config": {
        "ddpm_beta_schedule": "cosine",
        "ddpm_num_steps": 1000,
        "head_ffn_ratio": 2.0,
        "head_layers": 1,
        "hidden_size": 16,
        "latent_size": LATENT_DIM,
        "prediction_type": "v_prediction",
        "rms_norm_eps": 1e-5,
    },
}


@pytest.fixture
def original():
    return copy.deepcopy(ORIGINAL)


@pytest.fixture
def tiny_model(original):
    config = parse_config(original, NEGATIVE_PROMPT_ID)
    model = RealtimeModel.from_config(config, seed=0)
    generator = torch.Generator().manual_seed(0)
    set_unit_gain(model.acoustic_tokenizer, generator)
    noise = torch.randn(12800, generator=generator) * 0.05
    calibrate_codec(model, [noise], target_rms=0.05)
    return model


@pytest.fixture
def batch():
    """Two rows: 7 tokens and 13 frames, 4 tokens and 5 frames."""
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randint(0, 30, (2, 7), generator=generator),
        torch.tensor([7, 4]),
        torch.randn(2, 13, LATENT_DIM, generator=generator),
        torch.tensor([13, 5]),
    )
