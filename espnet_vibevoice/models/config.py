"""The original realtime ``config.json`` read into transformers' configurations.

The original names each size in its own way (ratios reversed, depths as a string, one
backbone that is split in two). Everything that has to be translated is here, so the
networks only see configurations of transformers. The table of names comes from
microsoft/VibeVoice, vibevoice/modular/configuration_vibevoice_streaming.py.
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

from espnet_vibevoice.models.base_folder import resolve_base

MODEL_TYPE = "vibevoice_streaming"
SAMPLING_RATE_HZ = 24000
NEGATIVE_PROMPT_TOKEN = "<|image_pad|>"
QWEN_NEGATIVE_PROMPT_ID = 151655  # of that token in the Qwen2.5 tokenizers


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


@dataclass(frozen=True)
class RealtimeConfig:
    """Sizes of every part of a realtime model.

    Args:
        language_model (Qwen2Config): Lower part: text only, no final norm.
        tts_language_model (Qwen2Config): Upper part: text and speech positions.
        encoder (VibeVoiceAcousticTokenizerEncoderConfig): Waveform to latents.
        decoder (VibeVoiceAcousticTokenizerDecoderConfig): Latents to waveform.
        prediction_head (VibeVoiceDiffusionHeadConfig): Diffusion head.
        num_train_timesteps (int): Length of the diffusion schedule.
        negative_prompt_id (int | None): Token id that the unconditional branch reads
            instead of text; None if the base does not tell.
        original (dict): The ``config.json`` as read; written back on saving.
    """

    language_model: Qwen2Config
    tts_language_model: Qwen2Config
    encoder: VibeVoiceAcousticTokenizerEncoderConfig
    decoder: VibeVoiceAcousticTokenizerDecoderConfig
    prediction_head: VibeVoiceDiffusionHeadConfig
    num_train_timesteps: int
    negative_prompt_id: int | None
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
        """Width of both language-model parts, H."""
        return self.language_model.hidden_size


def load_config(folder: Path) -> RealtimeConfig:
    """Read ``config.json`` (and the negative prompt's id) of a base folder.

    Args:
        folder (Path): Base folder.

    Returns:
        RealtimeConfig: The sizes.

    Raises:
        FileNotFoundError: If there is no ``config.json``.
        ValueError: If it is not JSON or not of a realtime model.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. Give the folder of a realtime VibeVoice base."
        )
    try:
        original = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise ValueError(f"{path}: not valid JSON ({err}). Fetch it again.") from err
    try:
        return parse_config(original, find_negative_prompt_id(folder))
    except KeyError as err:
        raise ValueError(
            f"{path}: the key {err} is missing. Fetch the base again, or give a base "
            f"in the original format (model_type {MODEL_TYPE})."
        ) from err
    except ValueError as err:
        raise ValueError(f"{path}: {err}") from err


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
    """Translate an original configuration.

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
    if model_type != MODEL_TYPE:
        raise ValueError(
            f"model_type is {model_type!r}, a realtime base has {MODEL_TYPE!r}. Give "
            "a base of the realtime family, or choose the tts class of this base."
        )
    backbone = original["decoder_config"]
    head = original["diffusion_head_config"]
    _check_diffusion(head)
    num_upper = original["tts_backbone_num_hidden_layers"]
    num_lower = backbone["num_hidden_layers"] - num_upper
    if negative_prompt_id is None and backbone["vocab_size"] > QWEN_NEGATIVE_PROMPT_ID:
        negative_prompt_id = QWEN_NEGATIVE_PROMPT_ID
    codec = original["acoustic_tokenizer_config"]
    return RealtimeConfig(
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


def find_negative_prompt_id(folder: Path) -> int | None:
    """Look up ``<|image_pad|>`` in the ``tokenizer.json`` of a base folder.

    Args:
        folder (Path): Base folder; it may hold no tokenizer.

    Returns:
        int | None: The id, or None without that file or token.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    added = json.loads(path.read_text(encoding="utf-8")).get("added_tokens", [])
    ids = {token["content"]: token["id"] for token in added}
    return ids.get(NEGATIVE_PROMPT_TOKEN)


def _check_diffusion(head: dict[str, Any]) -> None:
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
