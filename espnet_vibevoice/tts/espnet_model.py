"""ESPnet's TTS model, which also hands voice prompts to ours."""

from typing import Any

import torch
from espnet2.tts.espnet_model import ESPnetTTSModel

PROMPT_NAMES = (
    "prompt_text",
    "prompt_text_lengths",
    "prompt_feats",
    "prompt_feats_lengths",
)


class VibeVoiceESPnetModel(ESPnetTTSModel):
    """What ESPnet trains: the extractor lets latents through, the model does the rest.

    ESPnet's own ``forward`` hands on a fixed list of names; ours adds the prompts that
    the preprocessor put into the batch.
    """

    @classmethod
    def wrap(cls, model: ESPnetTTSModel) -> "VibeVoiceESPnetModel":
        """Take over the parts of a model that ESPnet's task has built.

        Args:
            model (ESPnetTTSModel): The model.
        """
        return cls(
            feats_extract=model.feats_extract,
            pitch_extract=model.pitch_extract,
            energy_extract=model.energy_extract,
            normalize=model.normalize,
            pitch_normalize=model.pitch_normalize,
            energy_normalize=model.energy_normalize,
            tts=model.tts,
        )

    def forward(
        self,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        **others: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Compute the training loss of a batch.

        Args:
            text (Tensor): Token ids (B, T_text).
            text_lengths (Tensor): (B,).
            speech (Tensor): Latents, not scaled (B, T_lat, D_ac).
            speech_lengths (Tensor): (B,).
            others: Prompts (see `VibeVoiceRealtimeTTS.forward`), ``utt_id`` and what
                ESPnet has for other models.

        Returns:
            tuple: Loss, statistics for the reporter, number of utterances.
        """
        feats, feats_lengths = speech, speech_lengths
        if self.feats_extract is not None:
            feats, feats_lengths = self.feats_extract(speech, speech_lengths)
        return self.tts(
            text=text,
            text_lengths=text_lengths,
            feats=feats,
            feats_lengths=feats_lengths,
            **{name: others[name] for name in PROMPT_NAMES if name in others},
        )
