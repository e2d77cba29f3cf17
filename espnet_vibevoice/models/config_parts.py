"""Sections of an original ``config.json`` read into transformers' configurations.

Both families share them. The original names each size in its own way (ratios reversed,
depths as a string), and everything that has to be translated is here, so the networks
only see configurations of transformers. The table of names comes from
microsoft/VibeVoice, vibevoice/modular/configuration_vibevoice.py.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import (
    Qwen2Config,
    VibeVoiceAcousticTokenizerDecoderConfig,
    VibeVoiceAcousticTokenizerEncoderConfig,
)
from transformers.models.vibevoice.configuration_vibevoice import (
    VibeVoiceDiffusionHeadConfig,
)

SAMPLING_RATE_HZ = 24000


@dataclass(frozen=True)
class CodecShape:
    """What one must know of a codec to handle its waveforms and latents.

    Args:
        sampling_rate (int): Samples per second of a waveform.
        hop_samples (int): Samples in one latent frame.
        latent_dim (int): Size of one acoustic latent, D.
    """

    sampling_rate: int
    hop_samples: int
    latent_dim: int


@dataclass(frozen=True, kw_only=True)
class SpeechConfig:
    """Sizes that both families have.

    Args:
        model_type (str): Family, as ``config.json`` has it.
        language_model (Qwen2Config): Language model; of a realtime model its lower
            part.
        encoder (VibeVoiceAcousticTokenizerEncoderConfig): Waveform to latents.
        decoder (VibeVoiceAcousticTokenizerDecoderConfig): Latents to waveform.
        prediction_head (VibeVoiceDiffusionHeadConfig): Diffusion head.
        num_train_timesteps (int): Length of the diffusion schedule.
        original (dict): The ``config.json`` in the original form; written back on
            saving.
    """

    model_type: str
    language_model: Qwen2Config
    encoder: VibeVoiceAcousticTokenizerEncoderConfig
    decoder: VibeVoiceAcousticTokenizerDecoderConfig
    prediction_head: VibeVoiceDiffusionHeadConfig
    num_train_timesteps: int
    original: dict[str, Any]

    @property
    def codec_shape(self) -> CodecShape:
        """Sizes of the codec's input and output."""
        return CodecShape(SAMPLING_RATE_HZ, self.hop_samples, self.latent_dim)

    @property
    def hop_samples(self) -> int:
        """Samples in one latent frame."""
        return math.prod(self.decoder.downsampling_ratios)

    @property
    def latent_dim(self) -> int:
        """Size of one acoustic latent, D."""
        return self.decoder.hidden_size

    @property
    def hidden_size(self) -> int:
        """Width of the language model, H."""
        return self.language_model.hidden_size


def parse_encoder_config(
    codec: dict[str, Any],
) -> VibeVoiceAcousticTokenizerEncoderConfig:
    """Translate the encoder's part of an original ``acoustic_tokenizer_config``.

    Args:
        codec (dict): That section, alike in both model families.

    Raises:
        KeyError: If a needed key is absent.
    """
    return VibeVoiceAcousticTokenizerEncoderConfig(**_codec_sizes(codec, "encoder"))


def parse_decoder_config(
    codec: dict[str, Any],
) -> VibeVoiceAcousticTokenizerDecoderConfig:
    """Translate the decoder's part of an original ``acoustic_tokenizer_config``."""
    return VibeVoiceAcousticTokenizerDecoderConfig(**_codec_sizes(codec, "decoder"))


def parse_head_config(head: dict[str, Any]) -> VibeVoiceDiffusionHeadConfig:
    """Translate an original ``diffusion_head_config``."""
    return VibeVoiceDiffusionHeadConfig(
        hidden_size=head["hidden_size"],
        latent_size=head["latent_size"],
        num_hidden_layers=head["head_layers"],
        intermediate_size=int(head["hidden_size"] * head["head_ffn_ratio"]),
        rms_norm_eps=head["rms_norm_eps"],
    )


def find_token_ids(folder: Path) -> dict[str, int]:
    """Look up the special tokens in the ``tokenizer.json`` of a base folder.

    Args:
        folder (Path): Base folder; it may hold no tokenizer.

    Returns:
        dict[str, int]: Token to id; empty without that file.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return {}
    added = json.loads(path.read_text(encoding="utf-8")).get("added_tokens", [])
    return {token["content"]: token["id"] for token in added}


def check_diffusion(head: dict[str, Any]) -> None:
    """Refuse a head trained with another process than the one that is built."""
    wanted = {"prediction_type": "v_prediction", "ddpm_beta_schedule": "cosine"}
    for key, value in wanted.items():
        if head[key] != value:
            raise ValueError(
                f"diffusion_head_config.{key} is {head[key]!r}, only {value!r} is "
                "supported. Give a base that was trained with it."
            )


def parse_backbone_config(backbone: dict[str, Any], num_layers: int) -> Qwen2Config:
    """Translate an original ``decoder_config``, whole or a part of its layers."""
    return Qwen2Config(
        vocab_size=backbone["vocab_size"],
        hidden_size=backbone["hidden_size"],
        intermediate_size=backbone["intermediate_size"],
        num_hidden_layers=num_layers,
        num_attention_heads=backbone["num_attention_heads"],
        num_key_value_heads=backbone["num_key_value_heads"],
        hidden_act=backbone["hidden_act"],
        max_position_embeddings=backbone["max_position_embeddings"],
        initializer_range=backbone.get("initializer_range", 0.02),
        rms_norm_eps=backbone["rms_norm_eps"],
        rope_parameters={
            "rope_type": "default",
            "rope_theta": backbone["rope_theta"],
        },
        attention_dropout=backbone.get("attention_dropout", 0.0),
        use_sliding_window=False,
    )


def _codec_sizes(codec: dict[str, Any], half: str) -> dict[str, Any]:
    """Sizes of the encoder or the decoder in transformers' names."""
    depths = codec[f"{half}_depths"]
    if depths is None:  # the decoder mirrors the encoder
        depths = "-".join(reversed(codec["encoder_depths"].split("-")))
    ratios = codec.get(f"{half}_ratios") or codec["encoder_ratios"]
    return {
        "channels": codec["channels"],
        "hidden_size": codec["vae_dim"],
        "rms_norm_eps": codec["layernorm_eps"],
        "layer_scale_init_value": codec["layer_scale_init_value"],
        "initializer_range": codec["weight_init_value"],
        "num_filters": codec[f"{half}_n_filters"],
        "downsampling_ratios": list(reversed(ratios)),
        "depths": [int(depth) for depth in depths.split("-")],
        "vae_std": codec["fix_std"] / 0.8,
    }
