"""Waveforms to vectors at 7.5 Hz: what both tokenizers' encoders have in common.

The original pads every strided layer on its right so that no sample is lost;
transformers leaves that out, so the encoder's layers are called one by one here.
"""

import torch
from torch import Tensor, nn
from transformers import (
    VibeVoiceAcousticTokenizerEncoderConfig,
    VibeVoiceAcousticTokenizerEncoderModel,
)

from espnet_vibevoice.models.config_parts import CodecShape
from espnet_vibevoice.models.conversion import leave_autocast


class WaveformEncoder(nn.Module):
    """An encoder that may be absent. Loaded weights are frozen.

    Args:
        shape (CodecShape): Rate and hop.
        config (VibeVoiceAcousticTokenizerEncoderConfig | None): Sizes of the encoder;
            None for no encoder.

    Attributes:
        sampling_rate (int): Samples per second of a waveform.
        hop_samples (int): Samples in one frame.
    """

    without_encoder = "This base has no such encoder."

    def __init__(
        self,
        shape: CodecShape,
        config: VibeVoiceAcousticTokenizerEncoderConfig | None,
    ):
        super().__init__()
        self.sampling_rate = shape.sampling_rate
        self.hop_samples = shape.hop_samples
        self.encoder = (
            None if config is None else VibeVoiceAcousticTokenizerEncoderModel(config)
        )
        self.requires_grad_(False)

    @property
    def has_encoder(self) -> bool:
        """Whether waveforms can be encoded."""
        return self.encoder is not None

    def count_frames(self, num_samples: int) -> int:
        """Frames of a waveform: every started frame counts.

        Args:
            num_samples (int): Length of the waveform.
        """
        return -(-num_samples // self.hop_samples)

    @torch.no_grad()
    def encode(self, waveform: Tensor) -> Tensor:
        """Encode one waveform; of latents the means (no sampling).

        Args:
            waveform (Tensor): 24 kHz samples in [-1, 1] (T_wav,).

        Returns:
            Tensor: Vectors of the frames (T_lat, D), float32,
                T_lat = ceil(T_wav / hop_samples).

        Raises:
            RuntimeError: If this base has no such encoder.
            ValueError: If the waveform is not one-dimensional or is empty.
        """
        if self.encoder is None:
            raise RuntimeError(self.without_encoder)
        if waveform.dim() != 1 or len(waveform) == 0:
            raise ValueError(
                f"waveform: got shape {tuple(waveform.shape)}, wanted (T_wav,) with at "
                "least one sample. Give one mono utterance at a time."
            )
        return self.run_encoder(waveform[None])[0].contiguous()

    def run_encoder(self, waveforms: Tensor) -> Tensor:
        """Encode waveforms of one length; gradients flow if they are on.

        Args:
            waveforms (Tensor): 24 kHz samples in [-1, 1] (B, T_wav), T_wav > 0.

        Returns:
            Tensor: Vectors of the frames (B, T_lat, D), float32.
        """
        assert self.encoder is not None and waveforms.dim() == 2, waveforms.shape
        weight = self.encoder.head.conv.weight
        with leave_autocast(weight):
            hidden = self.encoder.stem(waveforms.to(weight)[:, None])  # (B, C, T)
            for layer in self.encoder.conv_layers:
                missing = -hidden.shape[-1] % layer.conv.conv.stride[0]
                hidden = layer(nn.functional.pad(hidden, (0, missing)))
            return self.encoder.head(hidden).transpose(1, 2).float()  # (B, T_lat, D)
