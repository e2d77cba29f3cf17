"""ESPnet's TTS model, which also hands voice prompts and utterance ids to ours."""

from collections.abc import Sequence
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
    the preprocessor put into the batch, and the ids that random draws follow from.
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

        Raises:
            RuntimeError: If the ids are those of a whole batch and this is a part.
        """
        given = {name: others[name] for name in PROMPT_NAMES if name in others}
        if "utt_id" in others:
            given["utt_ids"] = others["utt_id"]
            check_ids(others["utt_id"], len(text))
        feats, feats_lengths = speech, speech_lengths
        if self.feats_extract is not None:
            feats, feats_lengths = self.feats_extract(speech, speech_lengths)
        return self.tts(
            text=text,
            text_lengths=text_lengths,
            feats=feats,
            feats_lengths=feats_lengths,
            **given,
        )


def check_ids(utt_ids: Sequence[str], num_rows: int) -> None:
    """Refuse a batch that one process has divided between several GPUs.

    `torch.nn.DataParallel` gives the ids of all rows to each part, and no part knows
    the counts of the others.

    Args:
        utt_ids (Sequence[str]): Ids of the batch.
        num_rows (int): Rows of the batch.

    Raises:
        RuntimeError: If the numbers differ.
    """
    if len(utt_ids) != num_rows:
        raise RuntimeError(
            f"{len(utt_ids)} utterance ids for {num_rows} utterances: several GPUs "
            "need a process each. Give --multiprocessing_distributed true, as ESPnet's "
            "stage driver does"
        )
