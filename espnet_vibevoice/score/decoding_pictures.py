"""Pictures of some decoded utterances beside natural speech."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_vibevoice.data.audio import AudioError
from espnet_vibevoice.score.pictures import draw_mels

logger = logging.getLogger(__name__)


def draw_examples(
    utt_ids: Sequence[str], natural: Mapping[str, str], out_dir: Path
) -> int:
    """Draw the mel spectrograms of utterances, natural above decoded.

    Args:
        utt_ids (Sequence[str]): Utterances with a wav.
        natural (Mapping): Natural speech of each; one that is missing or cannot be
            read is logged, and its utterance is not drawn.
        out_dir (Path): Folder of the set; gets ``images/``.

    Returns:
        int: Number of pictures.
    """
    count = 0
    for utt_id in utt_ids:
        if utt_id not in natural:
            logger.warning("%s: no picture: it has no natural speech", utt_id)
            continue
        decoded = out_dir / "wav" / f"{utt_id}.wav"
        rows = {"natural": natural[utt_id], "decoded": decoded}
        try:
            draw_mels(rows, out_dir / "images" / f"{utt_id}.png", utt_id)
        except AudioError as err:
            logger.warning("%s: no picture: %s", utt_id, err)
            continue
        count += 1
    return count
