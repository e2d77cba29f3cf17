"""What a multi-speaker model cannot speak, found before it is loaded."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from espnet_vibevoice.models.multispeaker_config import MultispeakerConfig
from espnet_vibevoice.models.multispeaker_script import (
    MultispeakerScript,
    build_prompt_ids,
    parse_script,
)
from espnet_vibevoice.models.script_prompt import check_room, check_turns
from espnet_vibevoice.text.cleaners import Cleaner
from espnet_vibevoice.text.tokenizer import TextTokenizer


def check_scripts(
    texts: Sequence[str],
    clean: Cleaner,
    tokenizer: TextTokenizer,
    config: MultispeakerConfig,
    recordings: Mapping[int, np.ndarray],
) -> None:
    """Refuse scripts that could not be spoken, whatever the weights.

    Args:
        texts (Sequence[str]): Texts or scripts.
        clean (Cleaner): What reads them.
        tokenizer (TextTokenizer): Tokenizer of the base.
        config (MultispeakerConfig): Sizes of the base.
        recordings (Mapping): Samples of each speaker's voice (T_wav,).

    Raises:
        ValueError: If one is no script, a speaker lacks a voice, or voices and script
            are longer than the base reads.
    """
    hop = config.codec_shape.hop_samples
    for text in texts:
        lines = [clean(line).text for line in text.splitlines()]
        script = parse_script("\n".join(lines))
        check_turns(script)
        frames = [
            -(-len(recordings[i]) // hop) for i in list_voices(script, recordings)
        ]
        layout = build_prompt_ids(tokenizer, script, frames)
        check_room(len(layout.ids), config.max_positions)


def list_voices(script: MultispeakerScript, voices: Collection[int]) -> list[int]:
    """List the speakers whose voices a script takes.

    Args:
        script (MultispeakerScript): The script.
        voices (Collection[int]): Speakers that have a voice, counted from 0.

    Returns:
        list[int]: Each speaker of the script, in order; none where none has a voice.

    Raises:
        ValueError: If some have one and a speaker of the script has not.
    """
    wanted = list(range(script.num_speakers)) if voices else []
    absent = [speaker for speaker in wanted if speaker not in voices]
    if absent:
        raise ValueError(
            f"speaker {absent[0]}, counted from 0, has no voice: the script needs "
            f"{script.num_speakers}. Give --voice SPEAKER=FILE for each, or none."
        )
    return wanted
