"""The acoustic codec: 24 kHz waveforms to 7.5 Hz latents and back.

Built from transformers' VibeVoice encoder and decoder. The original pads every
strided layer on its right so that no sample is lost; transformers leaves that out, so
the encoder's layers are called one by one here. Loaded weights are frozen; only
`encoder_training` thaws those of the encoder. Autocast never reaches the codec.
"""

import torch
from torch import Tensor, nn
from transformers import (
    VibeVoiceAcousticTokenizerDecoderModel,
    VibeVoiceAcousticTokenizerEncoderModel,
)

from espnet_vibevoice.models.config import RealtimeConfig
from espnet_vibevoice.models.conversion import leave_autocast


class AcousticCodec(nn.Module):
    """Encoder (may be absent) and decoder of acoustic latents, both frozen.

    Args:
        config (RealtimeConfig): Sizes.
        has_encoder (bool): Whether to build the encoder. The released realtime base
            has none.

    Attributes:
        sampling_rate (int): Samples per second of a waveform.
        hop_samples (int): Samples in one latent frame.
        latent_dim (int): Size of a latent, D.
    """

    def __init__(self, config: RealtimeConfig, has_encoder: bool):
        super().__init__()
        shape = config.codec_shape
        self.sampling_rate = shape.sampling_rate
        self.hop_samples = shape.hop_samples
        self.latent_dim = shape.latent_dim
        self.encoder = (
            VibeVoiceAcousticTokenizerEncoderModel(config.encoder)
            if has_encoder
            else None
        )
        self.decoder = VibeVoiceAcousticTokenizerDecoderModel(config.decoder)
        self.requires_grad_(False)

    @property
    def has_encoder(self) -> bool:
        """Whether waveforms can be encoded."""
        return self.encoder is not None

    def count_frames(self, num_samples: int) -> int:
        """Latent frames of a waveform: every started frame counts.

        Args:
            num_samples (int): Length of the waveform.
        """
        return -(-num_samples // self.hop_samples)

    @torch.no_grad()
    def encode(self, waveform: Tensor) -> Tensor:
        """Encode one waveform into the means of its latents (no sampling).

        Args:
            waveform (Tensor): 24 kHz samples in [-1, 1] (T_wav,).

        Returns:
            Tensor: Unscaled latents (T_lat, D), float32,
                T_lat = ceil(T_wav / hop_samples).

        Raises:
            RuntimeError: If this base has no acoustic encoder.
            ValueError: If the waveform is not one-dimensional or is empty.
        """
        if self.encoder is None:
            raise RuntimeError(
                "This base has no acoustic encoder, so audio cannot be turned into "
                "latents. Name one that matches its decoder (--acoustic_encoder PATH, "
                "or tts_conf: {acoustic_encoder: PATH}), or train one: python -m "
                "espnet_vibevoice.bin.train_encoder"
            )
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
            Tensor: Unscaled latents (B, T_lat, D), float32.
        """
        assert self.encoder is not None and waveforms.dim() == 2, waveforms.shape
        weight = self.encoder.head.conv.weight
        with leave_autocast(weight):
            hidden = self.encoder.stem(waveforms.to(weight)[:, None])  # (B, C, T)
            for layer in self.encoder.conv_layers:
                missing = -hidden.shape[-1] % layer.conv.conv.stride[0]
                hidden = layer(nn.functional.pad(hidden, (0, missing)))
            return self.encoder.head(hidden).transpose(1, 2).float()  # (B, T_lat, D)

    def run_decoder(self, latents: Tensor) -> Tensor:
        """Decode latents of one length; gradients flow if they are on.

        Args:
            latents (Tensor): Unscaled latents (B, T_lat, D).

        Returns:
            Tensor: Waveforms (B, T_lat * hop_samples), float32.
        """
        weight = self.decoder.head.conv.weight
        with leave_autocast(weight):
            hidden = latents.to(weight).transpose(1, 2)
            return self.decoder(hidden).audio[:, 0].float()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Decode the latents of one utterance in one pass.

        Args:
            latents (Tensor): Unscaled latents (T_lat, D).

        Returns:
            Tensor: Waveform (T_lat * hop_samples,), float32.

        Raises:
            ValueError: If the shape is another.
        """
        if latents.dim() != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(
                f"latents: got shape {tuple(latents.shape)}, wanted (T_lat, "
                f"{self.latent_dim}). Give unscaled latents of one utterance."
            )
        return self.run_decoder(latents[None])[0]
