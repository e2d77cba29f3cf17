"""Decoding that goes on where it was killed, and what came out of it.

Jobs decode lists of utterances into ``log/output.JOB``. Whole wavs that an interrupted
run left there are moved to ``wav/`` first, and what the jobs noted is joined in
``log/journal.jsonl``; only what is still missing is handed out to jobs. Each utterance
has a seed of its own, so the division into jobs changes nothing.

An utterance that a job tried and could not speak is not tried again: the same text and
model would fail in the same way. It is tried again where not a single one could be
spoken, since that hints at something else, and where a user asks for it.
"""

import json
import os
import shutil
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_vibevoice.data.audio import AudioError, is_whole_wav
from espnet_vibevoice.data.files import write_lines, write_text
from espnet_vibevoice.data.kaldi import read_lines, split_line, split_scp, write_table
from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.score.decoded_audio import FAULTS, DecodedUtterance, inspect_wav
from espnet_vibevoice.score.decoding_journal import (
    JOURNAL,
    DecodingRecord,
    read_records,
    write_records,
)

NEVER_ENDED = "its job ended before it: run stage 7 again"
HOW_FIRST_AUDIO = (
    "seconds from an utterance's text to the samples of its first frame, spoken alone "
    "as a stream; the first utterances of each job after one that is not counted, the "
    "voice read before, other jobs at work beside it"
)
HOW_REAL_TIME = "time of computation divided by the speech made, summed over all jobs"


@dataclass(frozen=True)
class CollectedDecoding:
    """What the decoding of a set has brought.

    Attributes:
        decoded (list[DecodedUtterance]): Utterances with a wav, in order of the text.
        failures (dict[str, str]): Reason of each one without.
    """

    decoded: list[DecodedUtterance]
    failures: dict[str, str]


def divide_decoding(
    text: Path, out_dir: Path, nj: int, retry_failed: bool = False
) -> int:
    """Keep what is decoded and write the list of each job.

    Args:
        text (Path): Kaldi text of the set.
        out_dir (Path): Folder of the set in the experiment.
        nj (int): Number of jobs at most.
        retry_failed (bool): Whether to try again what could not be spoken.

    Returns:
        int: Number of jobs, 0 if nothing is left to decode. Their lists are
        ``log/keys.JOB.scp``.
    """
    log_dir = out_dir / "log"
    keep_finished(out_dir)
    for old in [*log_dir.glob("keys.*.scp"), *log_dir.glob("output.*")]:
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    lines = {split_line(line)[0]: line for line in read_lines(text)}
    records = {} if retry_failed else read_records(log_dir / JOURNAL)
    left = [lines[utt_id] for utt_id in find_left(lines, out_dir / "wav", records)]
    parts = split_scp(left, nj) if left else []
    for job, part in enumerate(parts, start=1):
        write_lines(log_dir / f"keys.{job}.scp", part)
    return len(parts)


def find_left(
    utt_ids: Iterable[str], wav_dir: Path, records: Mapping[str, DecodingRecord]
) -> list[str]:
    """Find what is still to be decoded.

    Args:
        utt_ids (Iterable[str]): What is wanted.
        wav_dir (Path): Folder of the wavs.
        records (Mapping): What is known of earlier tries.

    Returns:
        list[str]: Utterances without a whole wav; those that failed are left out if
            any other has one.
    """
    wanted = list(utt_ids)
    left = [u for u in wanted if not is_whole_wav(wav_dir / f"{u}.wav")]
    if len(left) == len(wanted):
        return left
    return [u for u in left if u not in records or not records[u].reason]


def keep_finished(out_dir: Path) -> None:
    """Move whole wavs, and what belongs to them, out of job folders."""
    log_dir = out_dir / "log"
    records = read_records(log_dir / JOURNAL)
    for path in sorted(log_dir.glob(f"output.*/{JOURNAL}")):
        records |= read_records(path)
    if records:
        write_records(log_dir / JOURNAL, records)
    for path in sorted(log_dir.glob("output.*/wav/*.wav")):
        if is_whole_wav(path):
            # the picture was drawn before the wav is written, so it is whole
            picture = path.parent.parent / "probs" / f"{path.stem}.png"
            if picture.is_file():
                move_into(picture, out_dir / "probs")
            move_into(path, out_dir / "wav")


def move_into(path: Path, folder: Path) -> None:
    """Move a file into a folder of the same disk."""
    folder.mkdir(parents=True, exist_ok=True)
    os.replace(path, folder / path.name)


def collect_decoding(text: Mapping[str, str], out_dir: Path) -> CollectedDecoding:
    """Gather all wavs of a set, look at each, and write tables of them.

    Args:
        text (Mapping): Utterance id to text.
        out_dir (Path): Folder of the set; gets ``wav/wav.scp``, ``decoding.tsv``,
            ``decoding.json`` and, if any utterance has no wav, ``failures.tsv``.

    Returns:
        CollectedDecoding: What there is, and what is not.

    Raises:
        RuntimeError: If there is no wav at all.
    """
    keep_finished(out_dir)
    records = read_records(out_dir / "log" / JOURNAL)
    decoded, failures = [], {}
    for utt_id, words in text.items():
        path = out_dir / "wav" / f"{utt_id}.wav"
        if not path.is_file():
            record = records.get(utt_id)
            failures[utt_id] = record.reason if record else ""
            failures[utt_id] = failures[utt_id] or NEVER_ENDED
            continue
        try:
            decoded.append(inspect_wav(utt_id, path, words))
        except AudioError as err:
            failures[utt_id] = str(err)
    write_failures(out_dir / "failures.tsv", failures)
    if not decoded:
        faults = summarize_faults([f"{u}: {why}" for u, why in failures.items()], 3)
        raise RuntimeError(
            f"none of {len(text)} utterances was decoded into {out_dir}: {faults}. See "
            f"{out_dir}/failures.tsv and {out_dir}/log, mend it and run stage 7 again"
        )
    made = {u.utt_id: out_dir / "wav" / f"{u.utt_id}.wav" for u in decoded}
    write_table(out_dir / "wav" / "wav.scp", made)
    spoken = {u: records[u] for u in made if u in records and not records[u].reason}
    write_utterances(out_dir / "decoding.tsv", decoded, spoken)
    totals = sum_up(decoded, failures, list(spoken.values()))
    write_text(out_dir / "decoding.json", json.dumps(totals, indent=1) + "\n")
    return CollectedDecoding(decoded, failures)


def write_failures(path: Path, failures: Mapping[str, str]) -> None:
    """Write why utterances have no wav; no file if all have one."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    rows = [f"{utt_id}\t{' '.join(why.split())}" for utt_id, why in failures.items()]
    write_lines(path, ["utterance\treason", *rows])


def write_utterances(
    path: Path,
    decoded: Iterable[DecodedUtterance],
    records: Mapping[str, DecodingRecord],
) -> None:
    """Write a row of each decoded utterance; without a record its speed is empty."""
    rows = ["utterance\tseconds\tlevel_dbfs\tpeak\tfaults\treal_time_factor"]
    for one in decoded:
        record = records.get(one.utt_id)
        factor = f"{record.elapsed_sec / record.audio_sec:.3f}" if record else ""
        rows.append(
            f"{one.utt_id}\t{one.seconds:.3f}\t{one.level_dbfs:.1f}\t{one.peak:.3f}\t"
            f"{','.join(one.faults)}\t{factor}"
        )
    write_lines(path, rows)


def sum_up(
    decoded: list[DecodedUtterance],
    failures: Mapping[str, str],
    records: list[DecodingRecord],
) -> dict[str, object]:
    """Add up a set.

    Args:
        decoded (list[DecodedUtterance]): Utterances with a wav.
        failures (Mapping): Those without.
        records (list[DecodingRecord]): Of those with a wav, as far as there are any.

    Returns:
        dict: What ``decoding.json`` holds; figures that nobody took are None.
    """
    audio_sec = sum(record.audio_sec for record in records)
    elapsed_sec = sum(record.elapsed_sec for record in records)
    firsts = [r.first_audio_sec for r in records if r.first_audio_sec is not None]
    return {
        "utterances": len(decoded),
        "failed": len(failures),
        "seconds": round(sum(one.seconds for one in decoded), 3),
        "faults": {name: sum(name in u.faults for u in decoded) for name in FAULTS},
        "real_time_factor": round(elapsed_sec / audio_sec, 4) if records else None,
        "real_time_factor_how": HOW_REAL_TIME,
        "first_audio_sec": {
            "median": round(statistics.median(firsts), 4) if firsts else None,
            "p90": round(float(np.percentile(firsts, 90)), 4) if firsts else None,
            "n": len(firsts),
        },
        "first_audio_sec_how": HOW_FIRST_AUDIO,
        "batch_size": max((r.batch_size for r in records), default=None),
        "device": ", ".join(sorted({r.device for r in records})),
    }


def summarize_decoding(collected: CollectedDecoding) -> str:
    """Return one line: utterances, minutes, and how many have which fault."""
    decoded = collected.decoded
    minutes = sum(u.seconds for u in decoded) / 60
    told = ", ".join(f"{sum(n in u.faults for u in decoded)} {n}" for n in FAULTS)
    line = f"{len(decoded)} utterances, {minutes:.2f} minutes; {told}"
    failed = len(collected.failures)
    return f"{line}; {failed} failed, see failures.tsv" if failed else line
