"""Format audio for the codec: mono, one sampling rate, one loudness, 16-bit files.

Each job formats a part of a set and writes its tables to ``data/format.JOB``; the
parts are then collected to one data directory. Repeating interrupted work gives the
same bytes and redoes only what is not finished. Unusable utterances are listed.
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from espnet_vibevoice.data.atomic import write_bytes_atomic
from espnet_vibevoice.data.audio import (
    encode_audio,
    normalize_loudness,
    resample,
    to_mono,
)
from espnet_vibevoice.data.audio_source import AudioSource
from espnet_vibevoice.data.data_dir import (
    copy_speaker_tables,
    read_data_dir,
    subset_tables,
    validate_data_dir,
    write_data_dir,
)
from espnet_vibevoice.data.dropped import Dropped, read_dropped, write_dropped
from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.journal import FormatJournal
from espnet_vibevoice.data.kaldi import describe_ids, read_table, write_table
from espnet_vibevoice.data.progress import Progress
from espnet_vibevoice.errors import UtteranceError, summarize_faults


@dataclass(frozen=True)
class FormatOptions:
    """What the formatted audio is like.

    Args:
        fs (int): Sampling rate in Hz.
        loudness_dbfs (float | None): Root mean square in dB below full scale; None
            leaves the loudness as it is.
        audio_format (str): wav | flac.
    """

    fs: int = 24000
    loudness_dbfs: float | None = -25.0
    audio_format: str = "wav"


def format_part(
    sources: Sequence[AudioSource],
    out_dir: str | Path,
    job: int,
    options: FormatOptions,
    *,
    max_dropped_share: float = 0.01,
    set_size: int | None = None,
) -> dict[str, Dropped]:
    """Format the utterances of one job and write its tables.

    Args:
        sources (Sequence[AudioSource]): Utterances of this job.
        out_dir (str | Path): Data directory in the making; audio goes to
            ``data/wav``, tables to ``data/format.JOB``.
        job (int): Number of this job, from 1.
        options (FormatOptions): What the audio shall be like.
        max_dropped_share (float): Share of unusable utterances to put up with.
        set_size (int | None): Utterances in all parts; this part if None.

    Returns:
        dict[str, Dropped]: Unusable utterances.

    Raises:
        ValueError: More utterances are unusable than the share allows.
        OSError: A file cannot be written, e.g. the disk is full.
    """
    out_dir = Path(out_dir)
    journal = FormatJournal(out_dir / "data", job)
    paths: dict[str, str] = {}
    lengths: dict[str, int] = {}
    dropped: dict[str, Dropped] = {}
    progress = Progress(len(sources))
    for source in sources:
        path = audio_path(out_dir, source.utt_id, options.audio_format)
        try:
            lengths[source.utt_id] = _format_one(source, path, options, journal)
            paths[source.utt_id] = str(path)
        except UtteranceError as err:
            dropped[err.utt_id] = Dropped(err.reason, err.detail)
        progress.update()
    part = out_dir / "data" / f"format.{job}"
    write_table(part / "wav.scp", paths)
    write_table(part / "utt2num_samples", lengths)
    write_dropped(part / "dropped.tsv", dropped)
    check_dropped_share(
        dropped, set_size or len(sources), max_dropped_share, part / "dropped.tsv"
    )
    return dropped


def audio_path(out_dir: Path, utt_id: str, audio_format: str) -> Path:
    """Path of the formatted audio; 256 folders keep each of them small."""
    shard = f"{zlib.crc32(utt_id.encode('utf-8')) % 256:02x}"
    name = utt_id.replace("%", "%25").replace("/", "%2F")
    return out_dir / "data" / "wav" / shard / f"{name}.{audio_format}"


def convert_audio(waveform: np.ndarray, fs: int, options: FormatOptions) -> np.ndarray:
    """(T_wav,) or (T_wav, C) at ``fs`` -> mono (T_wav,) at ``options.fs``."""
    waveform = resample(to_mono(waveform), fs, options.fs)
    if options.loudness_dbfs is not None and len(waveform):
        waveform = normalize_loudness(waveform, options.loudness_dbfs)
    return waveform


def check_dropped_share(
    dropped: dict[str, Dropped], total: int, max_share: float, listing: Path
) -> None:
    """Fail if too many utterances were unusable.

    Raises:
        ValueError: Count, limit and the first ten utterances with their reasons.
    """
    if len(dropped) <= max_share * total:
        return
    faults = [f"{utt}: {d.reason}: {d.value}" for utt, d in sorted(dropped.items())]
    raise ValueError(
        f"{len(dropped)} of {total} utterances are unusable, the limit is "
        f"{max_share:.2%}: {summarize_faults(faults)}. All are in {listing}: mend or "
        "remove them, or raise --max_dropped_share."
    )


def collect_parts(
    source_dir: str | Path,
    out_dir: str | Path,
    num_parts: int,
    max_dropped_share: float = 0.01,
) -> dict[str, Dropped]:
    """Join the parts of all jobs to a data directory with the source's other tables.

    Args:
        source_dir (str | Path): Data directory that was formatted.
        out_dir (str | Path): Data directory to complete.
        num_parts (int): Number of jobs.
        max_dropped_share (float): Share of unusable utterances to put up with.

    Returns:
        dict[str, Dropped]: Unusable utterances, also listed in ``dropped.tsv``.

    Raises:
        FileNotFoundError: A job has not finished.
        ValueError: Utterances of the source are in no part, or too many are
            unusable.
    """
    source_dir, out_dir = Path(source_dir), Path(out_dir)
    wavs, lengths, dropped = _read_parts(out_dir, num_parts)
    tables = read_data_dir(source_dir)
    total = len(tables["utt2spk"])
    lost = set(tables["utt2spk"]) - set(wavs) - set(dropped)
    if lost:
        raise ValueError(
            f"{out_dir}: utterances of {source_dir} that no job has formatted: "
            f"{describe_ids(lost)}. Run the formatting again."
        )
    write_dropped(out_dir / "dropped.tsv", dropped)
    check_dropped_share(dropped, total, max_dropped_share, out_dir / "dropped.tsv")
    for name in ("segments", "utt2dur", "feats.scp"):  # of the audio as it was
        tables.pop(name, None)
    tables["wav.scp"] = wavs
    tables["utt2num_samples"] = lengths
    write_data_dir(out_dir, subset_tables(tables, tables["utt2spk"].keys() & wavs))
    copy_speaker_tables(source_dir, out_dir)
    write_text(out_dir / "feats_type", "raw\n")
    validate_data_dir(out_dir)
    return dropped


def _format_one(
    source: AudioSource, path: Path, options: FormatOptions, journal: FormatJournal
) -> int:
    """Format one utterance unless that is done; return its number of samples."""
    wanted = f"{source.fingerprint()} {astuple(options)}"
    fingerprint = hashlib.sha256(wanted.encode()).hexdigest()[:16]
    num_samples = journal.find(source.utt_id, fingerprint, path)
    if num_samples is None:
        waveform = convert_audio(*source.load(), options)
        num_samples = len(waveform)
        if num_samples == 0:
            raise UtteranceError(
                source.utt_id, "empty", f"{source.location}: shorter than one sample"
            )
        write_bytes_atomic(path, encode_audio(waveform, options.fs, path.suffix[1:]))
        journal.add(source.utt_id, fingerprint, path, num_samples)
    return num_samples


def _read_parts(
    out_dir: Path, num_parts: int
) -> tuple[dict[str, str], dict[str, str], dict[str, Dropped]]:
    wavs: dict[str, str] = {}
    lengths: dict[str, str] = {}
    dropped: dict[str, Dropped] = {}
    for job in range(1, num_parts + 1):
        part = out_dir / "data" / f"format.{job}"
        for name in ("wav.scp", "utt2num_samples", "dropped.tsv"):
            if not (part / name).is_file():
                raise FileNotFoundError(
                    f"{part / name} is missing: formatting job {job} has not "
                    "finished. Run the formatting again."
                )
        wavs |= read_table(part / "wav.scp")
        lengths |= read_table(part / "utt2num_samples")
        dropped |= read_dropped(part / "dropped.tsv")
    return wavs, lengths, dropped
