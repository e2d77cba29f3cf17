"""The acoustic codec: 24 kHz waveforms to 7.5 Hz latents and back.

Built from transformers' VibeVoice encoder and decoder. Loaded weights are frozen; only
`encoder_training` thaws those of the encoder. Autocast never reaches the codec.
"""

import torch
from torch import Tensor
from transformers import VibeVoiceAcousticTokenizerDecoderModel

from espnet_vibevoice.models.config_parts import SpeechConfig
from espnet_vibevoice.models.conversion import leave_autocast
from espnet_vibevoice.models.waveform_encoder import WaveformEncoder


class AcousticCodec(WaveformEncoder):
    """Encoder (may be absent) and decoder of acoustic latents, both frozen.

    Args:
        config (SpeechConfig): Sizes.
        has_encoder (bool): Whether to build the encoder. The released realtime base
            has none.

    Attributes:
        sampling_rate (int): Samples per second of a waveform.
        hop_samples (int): Samples in one latent frame.
        latent_dim (int): Size of a latent, D.
    """

    without_encoder = (
        "This base has no acoustic encoder, so audio cannot be turned into latents. "
        "Name one that matches its decoder (--acoustic_encoder PATH, or tts_conf: "
        "{acoustic_encoder: PATH}), or train one: python -m "
        "espnet_vibevoice.bin.train_encoder"
    )

    def __init__(self, config: SpeechConfig, has_encoder: bool):
        super().__init__(config.codec_shape, config.encoder if has_encoder else None)
        self.latent_dim = config.latent_dim
        self.decoder = VibeVoiceAcousticTokenizerDecoderModel(config.decoder)
        self.requires_grad_(False)

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
