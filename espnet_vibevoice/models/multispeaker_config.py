"""The configuration of the 1.5B and 7B models, in the original's or in native form.

One language model reads text and speech. Its control tokens are entries of the text's
vocabulary: ``<|vision_start|>``, ``<|vision_end|>``, ``<|vision_pad|>`` mean the start
of speech, its end and one frame; ``<|endoftext|>`` ends the whole.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from transformers import VibeVoiceAcousticTokenizerEncoderConfig

from espnet_vibevoice.models.config_parts import (
    SpeechConfig,
    check_diffusion,
    parse_backbone_config,
    parse_decoder_config,
    parse_encoder_config,
    parse_head_config,
)

MULTISPEAKER_TYPE = "vibevoice"
SPEECH_START = "<|vision_start|>"
SPEECH_END = "<|vision_end|>"
SPEECH_DIFFUSION = "<|vision_pad|>"
END_OF_TEXT = "<|endoftext|>"
CONTROL_TOKENS = (SPEECH_START, SPEECH_END, SPEECH_DIFFUSION, END_OF_TEXT)
_QWEN_IDS = (151652, 151653, 151654, 151643)  # of these in Qwen2.5's tokenizers


@dataclass(frozen=True)
class SpeechTokens:
    """Ids of the tokens that control speech; generation knows no others.

    Args:
        speech_start (int): Opens a segment of frames.
        speech_end (int): Closes it.
        speech_diffusion (int): Stands for one frame.
        end_of_text (int): Ends the output.
    """

    speech_start: int
    speech_end: int
    speech_diffusion: int
    end_of_text: int

    @property
    def allowed(self) -> tuple[int, int, int, int]:
        """Ids that generation chooses among: start, end, diffusion, end of text."""
        return astuple(self)

    @classmethod
    def find(cls, ids: Mapping[str, int]) -> "SpeechTokens | None":
        """Look the tokens up.

        Args:
            ids (Mapping[str, int]): Token to id.

        Returns:
            SpeechTokens | None: The ids, or None if one token is absent.
        """
        if any(token not in ids for token in CONTROL_TOKENS):
            return None
        return cls(*(ids[token] for token in CONTROL_TOKENS))


@dataclass(frozen=True, kw_only=True)
class MultispeakerConfig(SpeechConfig):
    """Sizes of every part of a 1.5B or 7B model.

    Args:
        semantic_encoder (VibeVoiceAcousticTokenizerEncoderConfig): Waveform to
            semantic features.
        is_tied (bool): Whether ``lm_head`` shares the weight of the embedding table.
        tokens (SpeechTokens | None): Control tokens; None if the base does not tell.
    """

    semantic_encoder: VibeVoiceAcousticTokenizerEncoderConfig
    is_tied: bool
    tokens: SpeechTokens | None

    @property
    def semantic_dim(self) -> int:
        """Size of one semantic feature, D_sem."""
        return self.semantic_encoder.hidden_size

    @property
    def latent_std(self) -> float:
        """Deviation that latents are drawn with around their means."""
        return self.encoder.vae_std

    @property
    def max_positions(self) -> int:
        """Longest sequence that the language model was made for."""
        return self.language_model.max_position_embeddings


def parse_multispeaker_config(
    original: dict[str, Any], tokens: SpeechTokens | None = None
) -> MultispeakerConfig:
    """Translate an original configuration.

    Args:
        original (dict): Content of an original ``config.json``.
        tokens (SpeechTokens | None): Control tokens. If None, those of Qwen2.5's
            vocabulary are taken where the vocabulary is large enough.

    Returns:
        MultispeakerConfig: The sizes.

    Raises:
        ValueError: If it describes another kind of model.
        KeyError: If a needed key is absent.
    """
    model_type = original.get("model_type")
    if model_type != MULTISPEAKER_TYPE:
        raise ValueError(
            f"model_type is {model_type!r}, a multi-speaker base has "
            f"{MULTISPEAKER_TYPE!r}. Give a base of the multi-speaker family, or "
            "choose the tts class of this base."
        )
    backbone = original["decoder_config"]
    head = original["diffusion_head_config"]
    check_diffusion(head)
    if tokens is None and backbone["vocab_size"] > max(_QWEN_IDS):
        tokens = SpeechTokens(*_QWEN_IDS)
    codec = original["acoustic_tokenizer_config"]
    return MultispeakerConfig(
        model_type=MULTISPEAKER_TYPE,
        language_model=parse_backbone_config(backbone, backbone["num_hidden_layers"]),
        encoder=parse_encoder_config(codec),
        decoder=parse_decoder_config(codec),
        semantic_encoder=parse_encoder_config(original["semantic_tokenizer_config"]),
        prediction_head=parse_head_config(head),
        num_train_timesteps=head["ddpm_num_steps"],
        is_tied=bool(backbone.get("tie_word_embeddings", False)),
        tokens=tokens,
        original=original,
    )
