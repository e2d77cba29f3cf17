"""Where resynthesised speech lies, and how the parts of its jobs are joined.

::

    resynthesis/wav/UTT.wav        natural audio through the codec
    resynthesis/wav.scp            those that there are
    resynthesis/failures.tsv       the others, and why
    resynthesis/unavailable.txt    only where the base has no encoder: why
    resynthesis/parts/             lists of the jobs
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.kaldi import describe_ids, write_table
from espnet_vibevoice.score.reason_list import FILE_NAME, read_reasons, write_reasons

UNAVAILABLE = "unavailable.txt"


@dataclass(frozen=True)
class CeilingFiles:
    """Paths in the folder of a resynthesised set.

    Args:
        folder (Path): ``dump/ceilings/SET/resynthesis``.
    """

    folder: Path

    def wav(self, utt_id: str) -> Path:
        """Resynthesised audio of an utterance."""
        return self.folder / "wav" / f"{utt_id}.wav"

    def failures_part(self, job: int) -> Path:
        """Failures of one job; written when it has done all its utterances."""
        return self.folder / "parts" / f"failures.{job}.tsv"

    def unavailable_part(self, job: int) -> Path:
        """Note of one job that the base has no encoder."""
        return self.folder / "parts" / f"unavailable.{job}.txt"


def read_unavailable(folder: Path) -> str:
    """Why a set has no resynthesis at all; empty if it has one."""
    path = folder / UNAVAILABLE
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def collect_resynthesis(
    utterances: Iterable[str], files: CeilingFiles, num_jobs: int
) -> dict[str, str]:
    """Join what the jobs have made.

    Args:
        utterances (Iterable[str]): All utterances of the set.
        files (CeilingFiles): Their folder; gets ``wav.scp`` and ``failures.tsv``.
        num_jobs (int): Jobs that there were.

    Returns:
        dict[str, str]: Utterances that failed, and why.

    Raises:
        FileNotFoundError: A job has not finished.
    """
    notes = [files.unavailable_part(job) for job in range(1, num_jobs + 1)]
    note = next((path for path in notes if path.is_file()), None)
    target = files.folder / UNAVAILABLE
    target.unlink(missing_ok=True)
    failures: dict[str, str] = {}
    if note is None:
        for job in range(1, num_jobs + 1):
            failures |= read_reasons(files.failures_part(job))
    utterances = [] if note is not None else sorted(utterances)
    paths = {u: files.wav(u) for u in utterances if u not in failures}
    missing = [utt_id for utt_id, path in paths.items() if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{files.folder / 'wav'}: no audio of {describe_ids(missing)}: a job has "
            "not finished. Run stage 7 again: it goes on where it stopped."
        )
    write_reasons(files.folder / FILE_NAME, dict(sorted(failures.items())))
    write_table(files.folder / "wav.scp", paths)
    if note is not None:
        write_text(target, note.read_text(encoding="utf-8"))
    return failures
