"""Recognise a set: jobs take parts of its ``wav.scp``, then the parts are joined.

A job keeps what it has heard in a journal, so that one that was killed goes on where
it was. Audio that cannot be read, or that the model fails on, is listed and does not
stop the others. A recogniser that does not load leaves ``unavailable.txt``.
"""

import logging
from collections.abc import Collection
from pathlib import Path

from espnet_vibevoice.data.audio_source import AudioSource
from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.kaldi import (
    describe_ids,
    iterate_table,
    read_table,
    write_table,
)
from espnet_vibevoice.data.progress import Progress
from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.score.decoder_faults import refuse_device_fault
from espnet_vibevoice.score.model_specs import RecognizerSpec
from espnet_vibevoice.score.reason_list import FILE_NAME, read_reasons, write_reasons
from espnet_vibevoice.score.recognition.journal import (
    RecognitionJournal,
    fingerprint_recognizer,
)
from espnet_vibevoice.score.recognition.loading import load_recognizer
from espnet_vibevoice.score.recognition.recognizer import (
    Recognizer,
    RecognizerUnavailable,
)

logger = logging.getLogger(__name__)

TEXT_NAME = "text"
UNAVAILABLE_NAME = "unavailable.txt"


def recognize_part(
    sources: Collection[AudioSource],
    out_dir: str | Path,
    job: int,
    spec: RecognizerSpec,
    device: str = "cpu",
    max_file_sec: float = 600.0,
) -> dict[str, str]:
    """Recognise the utterances of one job.

    Args:
        sources (Collection[AudioSource]): Utterances of this job.
        out_dir (str | Path): Folder of the recogniser's texts of the set; the job
            writes to ``parts`` in it.
        job (int): Number of this job, from 1.
        spec (RecognizerSpec): What to recognise with; loaded if anything is left.
        device (str): cpu | cuda | cuda:N.
        max_file_sec (float): Longer audio is listed as a failure, unread.

    Returns:
        dict[str, str]: Utterances that failed, with reasons.

    Raises:
        RecognizerUnavailable: The recogniser does not load; the reason also stands
            in ``unavailable.txt``.
        RuntimeError: The recogniser fails on each utterance that could be read, or
            the GPU fails; what was heard before counts.
    """
    out_dir = Path(out_dir)
    parts = out_dir / "parts"
    journal = RecognitionJournal(parts, job, fingerprint_recognizer(spec), sources)
    texts = {s.utt_id: journal.find(s.utt_id) for s in sources}
    left = [source for source in sources if texts[source.utt_id] is None]
    failures: dict[str, str] = {}
    if left:
        recognizer = _load(spec, device, out_dir)
        failures = _recognize_all(left, recognizer, journal, max_file_sec, len(sources))
    found = {u: journal.find(u) for u in texts if u not in failures}
    write_table(parts / f"{TEXT_NAME}.{job}", found)
    write_reasons(parts / f"{job}.{FILE_NAME}", failures)
    return failures


def collect_recognition(wav_scp: str | Path, out_dir: str | Path, nj: int) -> int:
    """Join the parts of all jobs to ``text`` and ``failures.tsv``.

    Args:
        wav_scp (str | Path): Table of the whole set.
        out_dir (str | Path): Folder given to :func:`recognize_part`.
        nj (int): Number of jobs.

    Returns:
        int: Number of utterances that failed.

    Raises:
        FileNotFoundError: A job has not finished.
        ValueError: Utterances of the set are in no part.
    """
    out_dir = Path(out_dir)
    texts: dict[str, str] = {}
    failures: dict[str, str] = {}
    for job in range(1, nj + 1):
        text = out_dir / "parts" / f"{TEXT_NAME}.{job}"
        reasons = out_dir / "parts" / f"{job}.{FILE_NAME}"
        for path in (text, reasons):
            if not path.is_file():
                raise FileNotFoundError(
                    f"{path} is missing: recognition job {job} has not finished. Run "
                    "the recognition again."
                )
        texts |= read_table(text)
        failures |= read_reasons(reasons)
    wanted = [utt_id for utt_id, _ in iterate_table(wav_scp)]
    if lost := set(wanted) - texts.keys() - failures.keys():
        raise ValueError(
            f"{out_dir}: utterances of {wav_scp} that no job has recognised: "
            f"{describe_ids(lost)}. Run the recognition again."
        )
    write_table(out_dir / TEXT_NAME, {u: texts[u] for u in wanted if u in texts})
    failed = {u: failures[u] for u in wanted if u in failures}
    write_reasons(out_dir / FILE_NAME, failed)
    return len(failed)


def _load(spec: RecognizerSpec, device: str, out_dir: Path) -> Recognizer:
    """Load the recogniser, or leave word of why that was not possible."""
    try:
        recognizer = load_recognizer(spec, device)
    except RecognizerUnavailable as err:
        write_text(out_dir / UNAVAILABLE_NAME, f"{err.reason}\n")
        raise
    (out_dir / UNAVAILABLE_NAME).unlink(missing_ok=True)
    return recognizer


def _recognize_all(
    sources: list[AudioSource],
    recognizer: Recognizer,
    journal: RecognitionJournal,
    max_file_sec: float,
    total: int,
) -> dict[str, str]:
    """Recognise utterance by utterance; give those that failed, with reasons."""
    unreadable: dict[str, str] = {}
    refused: dict[str, str] = {}
    progress = Progress(total)
    progress.update(total - len(sources))
    for source in sources:
        try:
            text = recognizer.recognize(*source.load(max_file_sec))
            journal.add(source.utt_id, " ".join(text.split()))
        except UtteranceError as err:
            unreadable[source.utt_id] = f"{err.reason}: {err.detail}"
        except RuntimeError as err:  # of the model: memory, kernels
            refuse_device_fault(err)
            refused[source.utt_id] = f"recognizer_failed: {err}"
            logger.warning("%s: %s", source.utt_id, err)
        progress.update()
    if refused and len(refused) + len(unreadable) == len(sources) == total:
        first = next(iter(refused))
        raise RuntimeError(
            f"the recogniser fails on each of {len(refused)} utterances, e.g. "
            f"{first}: {refused[first]}"
        )
    return unreadable | refused
