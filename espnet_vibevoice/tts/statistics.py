"""What ESPnet's statistics stage runs in place of the model: the extractor alone.

ESPnet builds the whole model in every job of that stage, though only its feature
extractor is called. Without the language model a job needs the memory of the encoder.
"""

from typing import NoReturn

import torch
from espnet2.tts.abs_tts import AbsTTS
from espnet2.tts.espnet_model import ESPnetTTSModel
from espnet2.tts.feats_extract.abs_feats_extract import AbsFeatsExtract


class NoTTS(AbsTTS):
    """Fills the place of a model that is never called."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))  # ESPnet wants an optimizer

    def forward(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse to be trained.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("the statistics stage has no model: got a training step")

    def inference(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse to decode.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("the statistics stage has no model: got text to decode")


def build_statistics_model(feats_extract: AbsFeatsExtract) -> ESPnetTTSModel:
    """Wrap an extractor as the model whose ``collect_feats`` ESPnet calls."""
    return ESPnetTTSModel(
        feats_extract=feats_extract,
        pitch_extract=None,
        energy_extract=None,
        normalize=None,
        pitch_normalize=None,
        energy_normalize=None,
        tts=NoTTS(),
    )
