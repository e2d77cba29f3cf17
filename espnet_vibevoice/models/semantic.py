"""The semantic tokenizer: 24 kHz waveforms to features of what is said, 7.5 Hz.

It has no decoder and draws nothing: its features are used as they are, unscaled. A
frame's feature is added to the embedding of its latent wherever the model hears its own
output, in training and in generation; frames of a voice prompt carry none.
"""

from espnet_vibevoice.models.multispeaker_config import MultispeakerConfig
from espnet_vibevoice.models.waveform_encoder import WaveformEncoder


class SemanticTokenizer(WaveformEncoder):
    """Encoder (may be absent) of semantic features, frozen.

    Args:
        config (MultispeakerConfig): Sizes.
        has_encoder (bool): Whether to build the encoder. Training on dumped features
            does without; generation needs it.

    Attributes:
        feature_dim (int): Size of a feature, D_sem.
    """

    without_encoder = (
        "This base has no semantic encoder, so audio cannot be turned into semantic "
        "features. Give a base that was saved with it."
    )

    def __init__(self, config: MultispeakerConfig, has_encoder: bool):
        encoder = config.semantic_encoder if has_encoder else None
        super().__init__(config.codec_shape, encoder)
        self.feature_dim = config.semantic_dim
