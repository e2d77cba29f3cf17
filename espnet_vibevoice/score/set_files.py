"""Where the parts of a test set lie that scoring joins.

::

    DATA/{wav.scp,text,utt2spk}            natural audio and references
    CEILINGS/natural/                      what was found out about natural audio
    CEILINGS/resynthesis/                  natural audio through the codec
    DECODE/{wav/wav.scp,failures.tsv}      synthesis
    DECODE/score/                          scores
    DECODE/score/synthesis/                what was found out about the synthesis

"Found out" are hypotheses (``asr_NAME/``) and measures that take long to compute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.score.ceiling_files import read_unavailable
from espnet_vibevoice.score.columns import NATURAL, RESYNTHESIS, SYNTHESIS, SYSTEMS
from espnet_vibevoice.score.reason_list import FILE_NAME, read_reasons


@dataclass(frozen=True)
class SetFiles:
    """Folders of one test set as one model decoded it.

    Args:
        data_dir (Path): ``dump/raw/SET``.
        ceilings (Path): ``dump/ceilings/SET``.
        decode_dir (Path): ``exp/TAG/DECODING/SET``.
    """

    data_dir: Path
    ceilings: Path
    decode_dir: Path

    @property
    def score_dir(self) -> Path:
        """Folder of the scores."""
        return self.decode_dir / "score"

    def wav_scp(self, system: str) -> Path:
        """Audio of a system."""
        return {
            NATURAL: self.data_dir,
            RESYNTHESIS: self.ceilings / RESYNTHESIS,
            SYNTHESIS: self.decode_dir / "wav",
        }[system] / "wav.scp"

    def failures(self, system: str) -> Path:
        """Utterances without audio, and why; the natural set has no such list."""
        return {
            NATURAL: self.ceilings / NATURAL,
            RESYNTHESIS: self.ceilings / RESYNTHESIS,
            SYNTHESIS: self.decode_dir,
        }[system] / FILE_NAME

    def work_dir(self, system: str) -> Path:
        """Folder of what was found out about a system's audio."""
        parent = self.score_dir if system == SYNTHESIS else self.ceilings
        return parent / system

    def recognition_dir(self, system: str, recognizer: str) -> Path:
        """Folder of hypotheses."""
        return self.work_dir(system) / f"asr_{recognizer}"

    @property
    def recordings(self) -> tuple[Path, ...]:
        """Files that say how the set was decoded; may be missing."""
        return self.decode_dir / "decoding.json", self.decode_dir / "decoding.tsv"


@dataclass(frozen=True)
class SystemAudio:
    """The audio of one system.

    Attributes:
        system (str): natural | resynthesis | synthesis.
        wavs (Mapping): Utterance id to path.
        failures (Mapping): Utterance id to why there is no audio.
        unavailable (str): Why the system is not there at all; empty if it is.
    """

    system: str
    wavs: Mapping[str, str]
    failures: Mapping[str, str]
    unavailable: str = ""


@dataclass(frozen=True)
class SetTables:
    """What is read of a set before anything is computed.

    Attributes:
        references (Mapping): Utterance id to text.
        speakers (Mapping): Utterance id to speaker.
        systems (Mapping): System to its audio.
    """

    references: Mapping[str, str]
    speakers: Mapping[str, str]
    systems: Mapping[str, SystemAudio]

    @property
    def utterances(self) -> list[str]:
        """All utterances that have a text or audio of any system, sorted."""
        found = set(self.references)
        for audio in self.systems.values():
            found |= audio.wavs.keys() | audio.failures.keys()
        return sorted(found)


def read_set(files: SetFiles) -> SetTables:
    """Read the tables of a set.

    Raises:
        FileNotFoundError: A table is missing; says which stage makes it.
        ValueError: A table is damaged, or no system has any audio.
    """
    missing = [files.data_dir / name for name in ("wav.scp", "text", "utt2spk")]
    missing = [path for path in missing if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{', '.join(map(str, missing))}: no such file. Run stages 1 to 3 first."
        )
    systems = {system: _read_audio(files, system) for system in SYSTEMS}
    if not any(audio.wavs for audio in systems.values()):
        raise ValueError(f"{files.decode_dir}: no audio to score. Run stage 7 first.")
    return SetTables(
        read_table(files.data_dir / "text"),
        read_table(files.data_dir / "utt2spk"),
        systems,
    )


def _read_audio(files: SetFiles, system: str) -> SystemAudio:
    path = files.wav_scp(system)
    unavailable = ""
    if system == RESYNTHESIS:
        unavailable = read_unavailable(path.parent)
        if not unavailable and not path.is_file():
            unavailable = "natural audio was not passed through the codec"
    elif not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. Decode the set first: run.sh --stage 7 "
            "--stop-stage 7."
        )
    wavs = read_table(path) if path.is_file() and not unavailable else {}
    failures = read_reasons(files.failures(system)) if not unavailable else {}
    return SystemAudio(system, wavs, failures, unavailable)


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


def read_hypotheses(
    files: SetFiles, tables: SetTables, recognizer: str
) -> dict[str, Hypotheses]:
    """Read what a recogniser made of each system.

    Of a system without any audio there is nothing to hear: no texts, no reason.
    """
    return {
        system: _read_hypotheses(files, system, recognizer)
        if audio.wavs
        else Hypotheses({}, {})
        for system, audio in tables.systems.items()
    }


def _read_hypotheses(files: SetFiles, system: str, recognizer: str) -> Hypotheses:
    folder = files.recognition_dir(system, recognizer)
    note = folder / "unavailable.txt"
    if note.is_file():
        return Hypotheses({}, {}, note.read_text(encoding="utf-8").strip())
    if not (folder / "text").is_file():
        reason = f"recogniser {recognizer} has not been run on {system} audio"
        return Hypotheses({}, {}, f"{reason} ({folder}/text is missing)")
    return Hypotheses(read_table(folder / "text"), read_reasons(folder / FILE_NAME))
