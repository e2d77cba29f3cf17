"""Format audio for the codec: mono, one sampling rate, one loudness, 16-bit files.

Each job formats a part of a set and writes its tables to ``data/format.JOB``; the
parts are then collected to one data directory (see ``parts.py``). Repeating interrupted
work gives the same bytes and redoes only what is not finished. Unusable utterances are
listed. Memory does not grow with the number of utterances but for the journal of
earlier runs.
"""

import hashlib
import zlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from espnet_vibevoice.data.atomic import open_atomic, write_bytes_atomic
from espnet_vibevoice.data.audio import (
    AudioError,
    encode_audio,
    normalize_loudness,
    resample,
    to_mono,
)
from espnet_vibevoice.data.audio_source import AudioSource
from espnet_vibevoice.data.dropped import Dropped, check_dropped_share, write_dropped
from espnet_vibevoice.data.journal import FormatJournal, Measures
from espnet_vibevoice.data.kaldi import format_row
from espnet_vibevoice.data.progress import Progress
from espnet_vibevoice.data.trimming import (
    TrimOptions,
    find_loud_level,
    find_speech,
    measure_levels,
)
from espnet_vibevoice.errors import UtteranceError

_RULES = 2  # raised when the same options give other audio than before
# 127 / 128, the highest sample of 8 bits, is above it.
_FULL_SCALE = 0.99
_MAX_PEAK = 1e6  # floats with the values of 16-bit samples are below
PART_TABLES = ("wav.scp", "utt2num_samples", "utt2trim", "utt2clipped")


@dataclass(frozen=True)
class FormatOptions:
    """What the formatted audio is like.

    Args:
        fs (int): Sampling rate in Hz.
        loudness_dbfs (float | None): Root mean square in dB below full scale; None
            leaves the loudness as it is.
        audio_format (str): wav | flac.
        trim (TrimOptions | None): What is cut off at both ends; None for nothing.
        min_level_dbfs (float | None): Audio whose loud level (see ``trimming.py``) is
            lower is silent; None accepts all.
        max_file_sec (float): Longer audio is refused unread: it bounds the memory.
    """

    fs: int = 24000
    loudness_dbfs: float | None = -25.0
    audio_format: str = "wav"
    trim: TrimOptions | None = TrimOptions()
    min_level_dbfs: float | None = -60.0
    max_file_sec: float = 600.0


def format_part(
    sources: Collection[AudioSource],
    out_dir: str | Path,
    job: int,
    options: FormatOptions,
    *,
    max_dropped: float = 0.01,
    set_size: int | None = None,
) -> dict[str, Dropped]:
    """Format the utterances of one job and write its tables.

    Besides ``wav.scp`` these are ``utt2num_samples``, ``utt2trim`` (seconds cut off at
    the beginning and at the end) and ``utt2clipped`` (share of the source's samples at
    full scale).

    Args:
        sources (Collection[AudioSource]): Utterances of this job.
        out_dir (str | Path): Data directory in the making; audio goes to
            ``data/wav``, tables to ``data/format.JOB``.
        job (int): Number of this job, from 1.
        options (FormatOptions): What the audio shall be like.
        max_dropped (float): Share of unusable utterances to put up with.
        set_size (int | None): Utterances in all parts; this part if None.

    Returns:
        dict[str, Dropped]: Unusable utterances.

    Raises:
        ValueError: More utterances are unusable than the share allows.
        OSError: A file cannot be written, e.g. the disk is full.
    """
    out_dir = Path(out_dir)
    part = out_dir / "data" / f"format.{job}"
    journal = FormatJournal(part.parent, job, (source.utt_id for source in sources))
    dropped: dict[str, Dropped] = {}
    with ExitStack() as stack:
        files = [stack.enter_context(open_atomic(part / n)) for n in PART_TABLES]
        for source, result in _format_all(sources, out_dir, options, journal):
            if isinstance(result, Dropped):
                dropped[source.utt_id] = result
                continue
            path = audio_path(out_dir, source.utt_id, options.audio_format)
            values = _list_values(path, result, options.fs)
            for file, value in zip(files, values, strict=True):
                row = format_row(source.utt_id, value)
                file.write(f"{row}\n".encode())
    write_dropped(part / "dropped.tsv", dropped)
    size = len(sources) if set_size is None else set_size
    check_dropped_share(dropped, size, max_dropped, part / "dropped.tsv")
    return dropped


def audio_path(out_dir: Path, utt_id: str, audio_format: str) -> Path:
    """Path of the formatted audio; 256 folders keep each of them small."""
    shard = f"{zlib.crc32(utt_id.encode('utf-8')) % 256:02x}"
    name = utt_id.replace("%", "%25").replace("/", "%2F")
    return out_dir / "data" / "wav" / shard / f"{name}.{audio_format}"


def convert_audio(
    waveform: np.ndarray, fs: int, options: FormatOptions
) -> tuple[np.ndarray, Measures]:
    """Make audio mono, resample, trim and scale it.

    Args:
        waveform (np.ndarray): (T_wav,) or (T_wav, C), not empty.
        fs (int): Its rate in Hz.
        options (FormatOptions): What it shall be like.

    Returns:
        tuple[np.ndarray, Measures]: Waveform (T_out,) at ``options.fs``, measures.

    Raises:
        AudioError: ``silent``, ``empty`` if it is shorter than one sample, or
            ``not_finite`` if samples are beyond all that recordings have.
    """
    peak = float(np.max(np.abs(waveform)))
    if peak > _MAX_PEAK:
        raise AudioError("not_finite", f"samples up to {peak:.3g}", f"{_MAX_PEAK:g}")
    num_clipped = int(np.count_nonzero(np.abs(waveform) >= _FULL_SCALE))
    num_source = waveform.size
    waveform = resample(to_mono(waveform), fs, options.fs)
    total = len(waveform)
    if total == 0:
        raise AudioError("empty", "shorter than one sample", "1 sample")
    levels = measure_levels(waveform, options.fs)
    loud, least = find_loud_level(levels), options.min_level_dbfs
    if least is not None and loud < least:
        raise AudioError("silent", f"{loud:.1f} dBFS", f"{least:g} dBFS")
    begin, end = 0, total
    if options.trim is not None:
        begin, end = find_speech(levels, options.fs, options.trim)
    waveform = waveform[begin:end]
    if options.loudness_dbfs is not None:
        waveform = normalize_loudness(waveform, options.loudness_dbfs)
    count = len(waveform)
    cut_behind = total - begin - count
    return waveform, Measures(count, begin, cut_behind, num_clipped, num_source)


def _format_all(
    sources: Collection[AudioSource],
    out_dir: Path,
    options: FormatOptions,
    journal: FormatJournal,
) -> Iterator[tuple[AudioSource, Measures | Dropped]]:
    progress = Progress(len(sources))
    for source in sources:
        path = audio_path(out_dir, source.utt_id, options.audio_format)
        try:
            yield source, _format_one(source, path, options, journal)
        except UtteranceError as err:
            yield source, Dropped(err.reason, err.detail, err.limit)
        progress.update()


def _format_one(
    source: AudioSource, path: Path, options: FormatOptions, journal: FormatJournal
) -> Measures:
    """Format one utterance unless that is done; return what was measured."""
    wanted = f"{_RULES} {source.fingerprint()} {astuple(options)}"
    fingerprint = hashlib.sha256(wanted.encode()).hexdigest()[:16]
    measures = journal.find(source.utt_id, fingerprint, path)
    if measures is None:
        waveform, fs = source.load(options.max_file_sec)
        try:
            waveform, measures = convert_audio(waveform, fs, options)
        except AudioError as err:
            detail = f"{source.location}: {err.detail}"
            raise UtteranceError(source.utt_id, err.reason, detail, err.limit) from err
        write_bytes_atomic(path, encode_audio(waveform, options.fs, path.suffix[1:]))
        journal.add(source.utt_id, fingerprint, path, measures)
    return measures


def _list_values(path: Path, measures: Measures, fs: int) -> list[object]:
    """Values of an utterance in the order of ``PART_TABLES``."""
    trimmed = (measures.trimmed_start / fs, measures.trimmed_end / fs)
    clipped = measures.num_clipped / measures.num_source
    return [
        path,
        measures.num_samples,
        f"{trimmed[0]:.3f} {trimmed[1]:.3f}",
        f"{clipped:.6f}",
    ]
