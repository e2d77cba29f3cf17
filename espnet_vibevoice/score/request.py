"""What is to be scored, and with what."""

from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.score.conf import ScoreConf
from espnet_vibevoice.score.set_files import SetFiles


@dataclass(frozen=True)
class ScoreRequest:
    """What to score, with what.

    Attributes:
        files (SetFiles): The set.
        conf (ScoreConf): Recognisers, models, bootstrap.
        experiment (Path | None): Folder whose ``RESULTS.md`` is updated; None: none.
        command (str): Command line, for the record.
        nj (int): Processes that measure audio.
        device (str): Where models of other measures run.
    """

    files: SetFiles
    conf: ScoreConf
    experiment: Path | None
    command: str
    nj: int = 1
    device: str = "cpu"
