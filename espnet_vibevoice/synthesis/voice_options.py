"""``--voice``, ``--voice_text`` and ``--adapter`` as they are typed."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.models.multispeaker_script import MAX_SPEAKERS

_NUMBERED = re.compile(r"(\d+)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class VoiceFile:
    """One voice.

    Args:
        path (Path): Recording, preset (``.pt``) or made prompt (``.safetensors``).
        transcript (str | None): What is said in the recording; the realtime family
            needs it.
    """

    path: Path
    transcript: str | None = None


@dataclass(frozen=True)
class AdapterChoice:
    """One adapter.

    Args:
        name (str): Name to give it.
        path (Path): Where it lies.
        scale (float): Strength; 1 is as trained.
    """

    name: str
    path: Path
    scale: float = 1.0


def parse_voices(
    files: Sequence[str], transcripts: Sequence[str] = ()
) -> dict[int, VoiceFile]:
    """Read voices by speaker.

    Speakers are numbered as in a script: if the lowest is above 0, 1 is subtracted
    from every number. Without numbers they count from 0.

    Args:
        files (Sequence[str]): Each ``FILE`` or ``SPEAKER=FILE``.
        transcripts (Sequence[str]): Each ``TEXT`` or ``SPEAKER=TEXT``, numbered as the
            files are. A recording ``a.wav`` without one takes it from ``a.txt`` beside
            it, if there is such a file.

    Returns:
        dict[int, VoiceFile]: Speaker, counted from 0, to voice.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a speaker has two voices, or a transcript has no voice.
    """
    paths = {speaker: Path(file) for speaker, file in _number("--voice", files).items()}
    texts = _number("--voice_text", transcripts)
    astray = sorted(set(texts) - set(paths))
    if astray:
        raise ValueError(
            f"--voice_text for speaker {astray[0]}, who has no --voice: number "
            "transcripts as the voices are."
        )
    shift = 1 if paths and min(paths) > 0 else 0
    voices = {}
    for speaker, path in paths.items():
        if not path.is_file():
            raise FileNotFoundError(
                f"--voice {path}: no such file. Give a recording, a .pt preset or a "
                "prompt made with bin/make_voice_prompt."
            )
        text = texts.get(speaker)
        beside = path.with_suffix(".txt")
        if text is None and beside.is_file():
            text = beside.read_text(encoding="utf-8")
        voices[speaker - shift] = VoiceFile(path, text)
    if len(voices) > MAX_SPEAKERS or max(voices, default=0) >= MAX_SPEAKERS:
        raise ValueError(
            f"--voice for speakers {sorted(paths)}: there can be {MAX_SPEAKERS}, "
            "numbered without gaps."
        )
    return voices


def parse_adapter(words: str) -> AdapterChoice:
    """Read ``NAME=PATH`` or ``NAME=PATH:SCALE``.

    Args:
        words (str): What was typed.

    Raises:
        ValueError: If a name or a path is absent, or the scale is no number.
    """
    name, _, rest = words.partition("=")
    path, colon, last = rest.rpartition(":")
    if colon and not Path(rest).exists():
        scale = _parse_scale(words, last)
    else:
        path, scale = rest, 1.0
    if not name or not path:
        raise ValueError(
            f"--adapter {words}: wanted NAME=PATH or NAME=PATH:SCALE, e.g. "
            "news=exp/news:0.8"
        )
    return AdapterChoice(name, Path(path), scale)


def _parse_scale(words: str, typed: str) -> float:
    """Read a strength."""
    try:
        scale = float(typed)
    except ValueError:
        scale = math.nan
    if not math.isfinite(scale):
        raise ValueError(
            f"--adapter {words}: the strength {typed!r} is no number, or there is no "
            "such path. Give NAME=PATH:SCALE, e.g. news=exp/news:0.8"
        )
    return scale


def _number(option: str, values: Sequence[str]) -> dict[int, str]:
    """Sort ``[SPEAKER=]VALUE`` by speaker; plain values count from 0."""
    numbered: dict[int, str] = {}
    for position, value in enumerate(values):
        match = _NUMBERED.fullmatch(value)
        speaker = int(match[1]) if match else position
        if speaker in numbered:
            raise ValueError(
                f"{option} {value}: speaker {speaker} has one already. Number all of "
                "them, SPEAKER=VALUE, or none."
            )
        numbered[speaker] = match[2] if match else value
    return numbered
