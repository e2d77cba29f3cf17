"""The voice prompts of a training, from the data that ESPnet's options name.

ESPnet's stage driver has no option for prompts, so they are found beside the data it
does name: under its own driver and under ours a set is prompted in the same way.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet2.train.dataset import ESPnetDataset

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.data.prompts import find_prompts
from espnet_vibevoice.models.config import read_codec_shape
from espnet_vibevoice.tts.preprocessor import PromptSource, VibeVoicePreprocessor
from espnet_vibevoice.tts.script_checks import count_speakers

DEFAULT_PROMPT_DROP_RATE = 0.2
DEFAULT_MAX_PROMPT_SEC = 30.0


def validate_prompt_settings(
    prompt_drop_rate: float, max_prompt_sec: float, key: str = "prompt_drop_rate"
) -> None:
    """Refuse settings out of range.

    Args:
        prompt_drop_rate (float): Share of utterances without a prompt, in [0, 1].
        max_prompt_sec (float): Longest prompt in seconds, above 0.
        key (str): Name of the first in ``tts_conf``.

    Raises:
        ValueError: If one is out of range.
    """
    if not 0 <= prompt_drop_rate <= 1 or not max_prompt_sec > 0:
        raise ValueError(
            f"tts_conf {key} is {prompt_drop_rate}, max_prompt_sec {max_prompt_sec}:"
            f" the first must be in [0, 1] (1 trains without voice "
            "prompts), the second above 0"
        )


def build_prompt_source(
    tts_conf: Mapping[str, Any],
    data: Sequence[tuple[str, str, str]],
    shape_files: Sequence[str],
    preprocess: VibeVoicePreprocessor,
) -> PromptSource | None:
    """Build what the preprocessor takes prompts from.

    Args:
        tts_conf (Mapping): Settings of the model; ``base`` is set.
        data (Sequence): Path, name and type of the set's ``text`` and ``speech``.
        shape_files (Sequence): Its shape files; ``speech_shape`` counts frames.
        preprocess (VibeVoicePreprocessor): That of the set; prepares transcripts.

    Returns:
        PromptSource | None: None if all prompts are to be dropped.

    Raises:
        ValueError: If a setting is out of range, the data are split, or a script
            cannot be spoken or lacks voices.
    """
    key = preprocess.drop_rate_key
    drop_rate = tts_conf.get(key, DEFAULT_PROMPT_DROP_RATE)
    seconds = tts_conf.get("max_prompt_sec", DEFAULT_MAX_PROMPT_SEC)
    validate_prompt_settings(drop_rate, seconds, key)
    used = [row for row in data if row[1] in ("text", "speech")]
    (text,) = (path for path, name, _ in used if name == "text")
    speakers = None
    if preprocess.reads_scripts and Path(text).is_file():
        speakers = count_speakers(text)  # tells bad ones, also where voices are dropped
    if drop_rate == 1:
        return None
    if Path(text).is_dir():
        raise ValueError(
            f"{text}: data split into parts have no voice prompts, because a prompt "
            f"may lie in another part: give --num_splits 1 or tts_conf {key}=1"
        )
    codec = read_codec_shape(tts_conf["base"])
    max_frames = max(1, int(seconds * codec.sampling_rate / codec.hop_samples))
    prepare = preprocess.clone_for_prompts()
    if preprocess.reads_scripts:  # voices come without their text
        used, prepare = [row for row in used if row[1] == "speech"], None
    return PromptSource(
        utt2prompt=find_prompts(
            text, _read_frames(shape_files), max_frames, num_speakers=speakers
        ),
        dataset=ESPnetDataset(used, prepare),
        drop_rate=drop_rate,
        max_frames=max_frames,
        has_transcripts=not preprocess.reads_scripts,
    )


def _read_frames(shape_files: Sequence[str]) -> dict[str, int]:
    """Read the frames of each utterance; nothing if no file tells them."""
    for path in shape_files:
        if Path(path).name == "speech_shape":
            shapes = read_table(path)
            return {key: int(shape.split(",")[0]) for key, shape in shapes.items()}
    return {}
