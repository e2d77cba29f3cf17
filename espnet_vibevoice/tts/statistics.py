"""What ESPnet's statistics stage runs in place of the model: the extractor alone.

ESPnet builds the whole model in every job of that stage, though only its feature
extractor is called. Without the language model a job needs the memory of the encoder.
"""

from typing import Any, NoReturn

import torch
from espnet2.tts.abs_tts import AbsTTS
from espnet2.tts.espnet_model import ESPnetTTSModel
from espnet2.tts.feats_extract.abs_feats_extract import AbsFeatsExtract

from espnet_vibevoice.tts.latents import VibeVoiceLatents


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


class StatisticsModel(ESPnetTTSModel):
    """What ESPnet collects statistics and features with."""

    def collect_feats(
        self,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        **others: Any,
    ) -> dict[str, torch.Tensor]:
        """Encode a batch; semantic features come along where the base has them.

        Args:
            text (Tensor): Token ids (B, T_text).
            text_lengths (Tensor): (B,).
            speech (Tensor): Waveforms (B, T_wav), or latents (B, T_lat, D_ac).
            speech_lengths (Tensor): (B,).
            others: What ESPnet has for other models.

        Returns:
            dict: ``feats`` (B, T_lat, D_ac), perhaps ``semantic`` (B, T_lat, D_sem),
            and the lengths of each.
        """
        found = super().collect_feats(
            text, text_lengths, speech, speech_lengths, **others
        )
        if isinstance(self.feats_extract, VibeVoiceLatents):
            found |= self.feats_extract.collect_semantic(speech, speech_lengths)
        return found


def build_statistics_model(feats_extract: AbsFeatsExtract) -> ESPnetTTSModel:
    """Wrap an extractor as the model whose ``collect_feats`` ESPnet calls."""
    return StatisticsModel(
        feats_extract=feats_extract,
        pitch_extract=None,
        energy_extract=None,
        normalize=None,
        pitch_normalize=None,
        energy_normalize=None,
        tts=NoTTS(),
    )
