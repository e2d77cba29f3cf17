"""Tiny models of both families, with random weights, and their configurations.

Codecs carry a signal, so that what they make of audio can be measured.
"""

import copy

NEGATIVE_PROMPT_ID = 31
LATENT_DIM = 4
SEMANTIC_DIM = 6
NUM_BYTES = 256
# Special tokens of the multi-speaker family's tokenizer of bytes, and the ids of those
# that control speech: start, end, diffusion, end of text.
MULTISPEAKER_SPECIAL = [
    "<|endoftext|>",
    "<|image_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
]
MULTISPEAKER_TOKENS = (258, 259, 260, 256)
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


def save_byte_tokenizer(folder, special: list[str]) -> None:
    """Write a tokenizer of bytes, whose special tokens follow from id 256 on."""
    from tokenizers import Tokenizer, decoders, models
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate(alphabet)}
    assert len(vocabulary) == NUM_BYTES, len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))


def make_multispeaker_original() -> dict:
    """Make a tiny configuration of the multi-speaker family, its lm_head tied."""
    original = copy.deepcopy(ORIGINAL)
    del original["tts_backbone_num_hidden_layers"]
    original["model_type"] = "vibevoice"
    original["decoder_config"] |= {
        "max_position_embeddings": 1024,
        "num_hidden_layers": 2,
        "tie_word_embeddings": True,
        "vocab_size": 264,
    }
    original["semantic_tokenizer_config"] = {
        **original["acoustic_tokenizer_config"],
        "fix_std": 0,
        "vae_dim": SEMANTIC_DIM,
    }
    return original


def make_tiny_multispeaker(original: dict, seed: int = 0):
    """Make a multi-speaker model whose encoders carry a signal."""
    import torch

    from espnet_vibevoice.models.calibration import calibrate_codec, set_unit_gain
    from espnet_vibevoice.models.multispeaker import MultispeakerModel
    from espnet_vibevoice.models.multispeaker_config import (
        SpeechTokens,
        parse_multispeaker_config,
    )

    tokens = SpeechTokens(*MULTISPEAKER_TOKENS)
    config = parse_multispeaker_config(original, tokens)
    model = MultispeakerModel.from_config(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    set_unit_gain(model.acoustic_tokenizer, generator)
    set_unit_gain(model.semantic_tokenizer, generator)
    noise = torch.randn(12800, generator=generator) * 0.05
    calibrate_codec(model, [noise], target_rms=0.05)
    return model


def make_tiny_model(original: dict, negative_prompt_id: int):
    """Make a realtime model whose codec carries a signal of ordinary loudness."""
    import torch

    from espnet_vibevoice.models.calibration import calibrate_codec, set_unit_gain
    from espnet_vibevoice.models.config import parse_config
    from espnet_vibevoice.models.realtime import RealtimeModel

    config = parse_config(original, negative_prompt_id)
    model = RealtimeModel.from_config(config, seed=0)
    generator = torch.Generator().manual_seed(0)
    set_unit_gain(model.acoustic_tokenizer, generator)
    noise = torch.randn(12800, generator=generator) * 0.05
    calibrate_codec(model, [noise], target_rms=0.05)
    return model


def make_exact_model(seed: int):
    """Make a model whose encoder is a rotation of 32 samples, the decoder its inverse.

    Each encoder layer sorts even and odd samples into channels of their own.
    """
    import torch

    from espnet_vibevoice.models.config import parse_config
    from espnet_vibevoice.models.realtime import RealtimeModel

    original = copy.deepcopy(ORIGINAL)
    original["acoustic_tokenizer_config"] |= {
        "decoder_ratios": [2] * 5,
        "encoder_depths": "1-1-1-1-1-1",
        "encoder_ratios": [2] * 5,
        "layer_scale_init_value": 0.0,
        "vae_dim": 32,
    }
    original["diffusion_head_config"]["latent_size"] = 32
    model = RealtimeModel.from_config(parse_config(original, 31), seed=seed)
    codec = model.acoustic_tokenizer
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(32, 32, generator=generator))[0]
    for name, parameter in codec.named_parameters():
        if ".conv." in name or ".convtr." in name:
            parameter.data.zero_()
    one = torch.ones(1, 1)
    for convolution, matrix in (
        (codec.encoder.stem.conv.conv, one),
        (codec.encoder.head.conv, rotation),
        (codec.decoder.stem.conv.conv, rotation.T),
        (codec.decoder.head.conv, one),
    ):
        convolution.weight.data[..., -1] = matrix
    for index in range(5):
        analysis = codec.encoder.conv_layers[index].conv.conv.weight.data
        synthesis = codec.decoder.conv_layers[-1 - index].convtr.convtr.weight.data
        for channel in range(2**index):
            for odd in range(2):
                analysis[2 * channel + odd, channel, 2 + odd] = 1.0
                synthesis[2 * channel + odd, channel, odd] = 1.0
    return model
