"""Scripts of a set checked before any computing starts."""

from collections.abc import Sequence
from pathlib import Path

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.models.multispeaker_script import MAX_SPEAKERS, parse_script
from espnet_vibevoice.tts.largest_batch import RowSizes
from espnet_vibevoice.tts.preprocessor import PromptSource

# Tokens around the frames of all voices, and end of speech and of text; a safe bound.
_TOKENS_AROUND_VOICES = 8 + 10 * MAX_SPEAKERS


def count_speakers(text: str | Path) -> dict[str, int]:
    """Count the speakers of each script of a set.

    Args:
        text (str | Path): ``text`` of a data directory.

    Returns:
        dict[str, int]: Utterance id to the voices that it needs.

    Raises:
        ValueError: If lines are no scripts: with their number and the first ten.
    """
    counts, faults = {}, []
    for utt_id, line in read_table(text).items():
        try:
            counts[utt_id] = parse_script(line).num_speakers
        except ValueError as err:
            faults.append(f"{utt_id}: {err}")
    if faults:
        raise ValueError(
            f"{text}: {len(faults)} lines cannot be spoken: {summarize_faults(faults)}"
        )
    return counts


def check_lengths(
    base: str, shape_files: Sequence[str], prompts: PromptSource | None
) -> None:
    """Refuse utterances that are longer than the base reads.

    Args:
        base (str): The base, see `base_folder.resolve_base`.
        shape_files (Sequence): Shape files of tokens and frames.
        prompts (PromptSource | None): Voices of the set.

    Raises:
        ValueError: If there are any, with their number and the first ten.
    """
    if len(shape_files) < 2:
        return  # nothing tells both tokens and frames
    limit = load_config(resolve_base(base)).language_model.max_position_embeddings
    sizes = RowSizes(shape_files, prompts)
    around = 2 if prompts is None else _TOKENS_AROUND_VOICES
    counts = {u: sizes.count_positions(u) + around for u in read_table(shape_files[0])}
    faults = [f"{u} ({n} positions)" for u, n in counts.items() if n > limit]
    if faults:
        raise ValueError(
            f"{shape_files[0]}: {len(faults)} utterances with their voices take more "
            f"than the {limit} positions of {base}: {summarize_faults(faults)}. Split "
            "them, lower --max_wav_duration (stage 3), or tts_conf max_prompt_sec"
        )
