"""Decoding that goes on where it was killed, and what came out of it.

``espnet2.bin.tts_inference`` decodes a list of utterances into ``log/output.JOB``.
Whole wavs that an interrupted run left there are moved to ``wav/`` first; only what
is still missing is handed out to jobs. Each utterance has a seed of its own, so the
division into jobs changes nothing.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_vibevoice.data.audio import is_whole_wav, load_audio
from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_lines, split_scp, write_table
from espnet_vibevoice.errors import summarize_faults

SILENT_BELOW_DBFS = -60.0
CLIPPED_FROM = 0.999  # of full scale
CLIPPED_SHARE = 0.001
SECONDS_PER_CHARACTER = (0.02, 0.5)  # outside: cut off or endless


@dataclass(frozen=True)
class DecodedUtterance:
    """What one decoded wav is like.

    Attributes:
        utt_id (str): Utterance id.
        seconds (float): Duration.
        level_dbfs (float): RMS level.
        peak (float): Largest absolute sample, 0 to 1.
        faults (tuple[str, ...]): Any of ``silent``, ``clipped``, ``short``, ``long``.
    """

    utt_id: str
    seconds: float
    level_dbfs: float
    peak: float
    faults: tuple[str, ...]


def divide_decoding(text: Path, out_dir: Path, nj: int) -> int:
    """Keep what is decoded and write the list of each job.

    Args:
        text (Path): Kaldi text of the set.
        out_dir (Path): Folder of the set in the experiment.
        nj (int): Number of jobs at most.

    Returns:
        int: Number of jobs, 0 if nothing is left to decode. Their lists are
        ``log/keys.JOB.scp``.
    """
    log_dir = out_dir / "log"
    keep_finished(out_dir)
    for old in [*log_dir.glob("keys.*.scp"), *log_dir.glob("output.*")]:
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    left = [
        line
        for line in read_lines(text)
        if not (out_dir / "wav" / f"{line.split(maxsplit=1)[0]}.wav").is_file()
    ]
    parts = split_scp(left, nj) if left else []
    for job, part in enumerate(parts, start=1):
        write_lines(log_dir / f"keys.{job}.scp", part)
    return len(parts)


def keep_finished(out_dir: Path) -> None:
    """Move whole wavs, and the pictures that belong to them, out of job folders."""
    for path in sorted((out_dir / "log").glob("output.*/wav/*.wav")):
        if is_whole_wav(path):
            move_into(path, out_dir / "wav")
            # drawn before the wav is written, so it is whole if the wav is
            picture = path.parent.parent / "probs" / f"{path.stem}.png"
            if picture.is_file():
                move_into(picture, out_dir / "probs")


def move_into(path: Path, folder: Path) -> None:
    """Move a file into a folder of the same disk."""
    folder.mkdir(parents=True, exist_ok=True)
    os.replace(path, folder / path.name)


def collect_decoding(text: dict[str, str], out_dir: Path) -> list[DecodedUtterance]:
    """Gather all wavs of a set, write wav.scp and look at each.

    Args:
        text (dict): Utterance id to text.
        out_dir (Path): Folder of the set; gets ``wav/wav.scp``, ``utterances.tsv``.

    Returns:
        list[DecodedUtterance]: One for each utterance, in order of ``text``.

    Raises:
        FileNotFoundError: If an utterance has no wav.
    """
    keep_finished(out_dir)
    paths = {utt_id: out_dir / "wav" / f"{utt_id}.wav" for utt_id in text}
    missing = [utt_id for utt_id, path in paths.items() if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(text)} utterances have no wav in "
            f"{out_dir / 'wav'}: {summarize_faults(missing)}. See "
            f"{out_dir / 'log'}/tts_inference.*.log and rerun stage 7"
        )
    decoded = [inspect_wav(utt_id, paths[utt_id], text[utt_id]) for utt_id in text]
    write_table(out_dir / "wav" / "wav.scp", paths)
    header = "utterance\tseconds\tlevel_dbfs\tpeak\tfaults"
    rows = [
        f"{u.utt_id}\t{u.seconds:.3f}\t{u.level_dbfs:.1f}\t{u.peak:.3f}\t"
        f"{','.join(u.faults)}"
        for u in decoded
    ]
    write_lines(out_dir / "utterances.tsv", [header, *rows])
    return decoded


def inspect_wav(utt_id: str, path: Path, text: str) -> DecodedUtterance:
    """Measure one wav and name what is wrong with it."""
    waveform, fs = load_audio(path)
    seconds = len(waveform) / fs
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    level_dbfs = 10 * np.log10(power + 1e-12)
    peak = float(np.abs(waveform).max())
    low, high = (rate * max(len(text), 4) for rate in SECONDS_PER_CHARACTER)
    judged = {
        "silent": level_dbfs < SILENT_BELOW_DBFS,
        "clipped": np.mean(np.abs(waveform) >= CLIPPED_FROM) > CLIPPED_SHARE,
        "short": seconds < low,
        "long": seconds > high,
    }
    faults = tuple(name for name, is_so in judged.items() if is_so)
    return DecodedUtterance(utt_id, seconds, level_dbfs, peak, faults)


def summarize_decoding(decoded: list[DecodedUtterance]) -> str:
    """Return one line: utterances, minutes, and how many have which fault."""
    seconds = sum(u.seconds for u in decoded)
    counts = {
        name: sum(name in u.faults for u in decoded)
        for name in ("silent", "clipped", "short", "long")
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{len(decoded)} utterances, {seconds / 60:.2f} minutes; {told}"
