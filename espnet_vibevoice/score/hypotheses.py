"""What recognisers heard in the audio of a set, read from where stage 7 put it."""

from collections.abc import Mapping
from dataclasses import dataclass

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.score.columns import SYSTEMS
from espnet_vibevoice.score.reason_list import FILE_NAME, read_reasons
from espnet_vibevoice.score.set_files import SetFiles


@dataclass(frozen=True)
class Hypotheses:
    """What one recogniser made of the audio of one system.

    Attributes:
        texts (Mapping): Utterance id to text as the recogniser gave it.
        failures (Mapping): Utterance id to why there is none.
        unavailable (str): Why there are none at all; empty if there are some.
    """

    texts: Mapping[str, str]
    failures: Mapping[str, str]
    unavailable: str = ""


def read_hypotheses(files: SetFiles, recognizer: str) -> dict[str, Hypotheses]:
    """Read what a recogniser made of each system."""
    return {system: _read(files, system, recognizer) for system in SYSTEMS}


def _read(files: SetFiles, system: str, recognizer: str) -> Hypotheses:
    folder = files.recognition_dir(system, recognizer)
    note = folder / "unavailable.txt"
    if note.is_file():
        return Hypotheses({}, {}, note.read_text(encoding="utf-8").strip())
    if not (folder / "text").is_file():
        reason = f"recogniser {recognizer} has not been run on {system} audio"
        return Hypotheses({}, {}, f"{reason} ({folder}/text is missing)")
    return Hypotheses(read_table(folder / "text"), read_reasons(folder / FILE_NAME))
