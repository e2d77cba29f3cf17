"""Filter formatted utterances by what was measured of them; list what goes.

Limits that a recipe sets hold for training and validation sets. Test sets are kept
whole: they lose only what nobody could use.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.data_dir import Tables, copy_data_dir, read_data_dir
from espnet_vibevoice.data.dropped import (
    FILE_NAME,
    Dropped,
    check_dropped_share,
    count_reasons,
    read_dropped_of,
    write_dropped,
)
from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.filter_report import REPORT_NAME, FilterReport
from espnet_vibevoice.data.kaldi import describe_ids, iterate_table
from espnet_vibevoice.data.quality import QualityLimit
from espnet_vibevoice.data.repair import find_incomplete
from espnet_vibevoice.data.sentences import find_text_key
from espnet_vibevoice.text.tokenizer import TextTokenizer

_MIN_USABLE_SEC = 0.02  # one frame of speech analysis


@dataclass(frozen=True)
class FilterOptions:
    """What to keep. All limits are exclusive, as in ESPnet, but those of quality.

    Args:
        min_duration_sec (float): Shorter utterances, or equally long ones, go.
        max_duration_sec (float): Longer utterances, or equally long ones, go.
        min_chars_per_sec (float): Characters (blanks not counted) per second; a
            lower rate hints at missing text.
        max_chars_per_sec (float): A higher rate hints at missing speech.
        max_clipped_share (float): Share of the source's samples at full scale; more
            is audible distortion.
        quality_limits (tuple[QualityLimit, ...]): Limits to what the corpus says.
        keep_all (bool): Keep all but the unusable ones, as for test sets.
    """

    min_duration_sec: float = 0.0
    max_duration_sec: float = math.inf
    min_chars_per_sec: float = -math.inf
    max_chars_per_sec: float = math.inf
    max_clipped_share: float = math.inf
    quality_limits: tuple[QualityLimit, ...] = ()
    keep_all: bool = False


def filter_data_dir(
    source: str | Path,
    target: str | Path,
    fs: int,
    options: FilterOptions,
    *,
    held_out: Collection[str | Path] = (),
    max_dropped: float = 1.0,
) -> FilterReport:
    """Copy the utterances that pass; list the others in ``dropped.tsv``.

    Args:
        source (str | Path): Formatted data directory, with ``utt2num_samples``.
        target (str | Path): Data directory to make or renew.
        fs (int): Sampling rate of the audio in Hz.
        options (FilterOptions): What to keep.
        held_out (Collection[str | Path]): Data directories whose sentences must not
            be kept, e.g. the test sets.
        max_dropped (float): Share of utterances, those dropped before included, that
            may be dropped.

    Returns:
        FilterReport: What was kept and dropped; also in ``filter_report.txt``.

    Raises:
        FileNotFoundError: The source or a table of it is missing.
        ValueError: No utterance passes, or more are dropped than may be; ``target``
            has the list then, but no tables.
    """
    source, target = Path(source), Path(target)
    tables = read_data_dir(source)
    if "utt2num_samples" not in tables:
        raise FileNotFoundError(
            f"{source / 'utt2num_samples'} is missing. Run the formatting (stage 2)."
        )
    durations = {
        utt_id: int(samples) / fs
        for utt_id, samples in tables["utt2num_samples"].items()
    }
    dropped = find_dropped(tables, durations, options)
    dropped |= _find_duplicates(tables["text"], held_out, dropped)
    kept = [utt_id for utt_id in tables["utt2spk"] if utt_id not in dropped]
    if not kept:
        raise ValueError(
            f"{source}: no utterance of {describe_ids(dropped)} passes {options}: "
            f"{count_reasons(dropped)}. Check these limits."
        )
    dropped = read_dropped_of(source) | dropped
    report = FilterReport.collect(kept, dropped, durations, tables)
    write_dropped(target / FILE_NAME, dropped)
    write_text(target / REPORT_NAME, report.format_table())
    total = len(kept) + len(dropped)
    check_dropped_share(dropped, total, max_dropped, target / FILE_NAME)
    copy_data_dir(source, target, kept)
    return report


def find_dropped(
    tables: Tables, durations: dict[str, float], options: FilterOptions
) -> dict[str, Dropped]:
    """Judge each utterance by itself.

    Args:
        tables (Tables): Tables of the data directory.
        durations (dict[str, float]): Duration of each utterance in seconds.
        options (FilterOptions): What to keep.

    Returns:
        dict[str, Dropped]: Utterances that do not pass.

    Raises:
        ValueError: A limit on quality names a table that is not there, or a value
            that is not a number.
    """
    dropped = find_incomplete(tables)
    clipped = tables.get("utt2clipped", {})
    for utt_id in tables["utt2spk"].keys() - dropped.keys():
        fault = _judge_usable(tables, utt_id, durations[utt_id])
        if fault is None and not options.keep_all:
            fault = (
                _judge_duration(durations[utt_id], options)
                or _judge_rate(tables["text"][utt_id], durations[utt_id], options)
                or _judge_clipping(float(clipped.get(utt_id, 0)), options)
                or _judge_quality(tables, utt_id, options)
            )
        if fault is not None:
            dropped[utt_id] = fault
    return dropped


def _find_duplicates(
    texts: dict[str, str],
    held_out: Collection[str | Path],
    dropped: dict[str, Dropped],
) -> dict[str, Dropped]:
    """Find sentences that a held-out set has as well."""
    owners: dict[str, str] = {}
    for path in held_out:
        for utt_id, text in iterate_table(Path(path) / "text"):
            owners.setdefault(find_text_key(text), f"{Path(path).name}: {utt_id}")
    owners.pop("", None)
    keys = {u: find_text_key(t) for u, t in texts.items() if u not in dropped}
    return {
        utt_id: Dropped("duplicate_text", f"is in {owners[key]}", "one set")
        for utt_id, key in keys.items()
        if key in owners
    }


def _judge_usable(tables: Tables, utt_id: str, duration: float) -> Dropped | None:
    if duration <= 0:
        return Dropped("empty_audio", "0 s", "more than 0 s")
    if duration < _MIN_USABLE_SEC:
        return Dropped("too_short", f"{duration:.6f} s", f"{_MIN_USABLE_SEC:g} s")
    text = tables["text"][utt_id]
    if not TextTokenizer.is_speakable(text):
        return Dropped("no_letters", tables.get("text.raw", {}).get(utt_id, text))
    return None


def _judge_duration(duration: float, options: FilterOptions) -> Dropped | None:
    found = f"{duration:.3f} s"
    if duration <= options.min_duration_sec:
        return Dropped("too_short", found, f"{options.min_duration_sec:g} s")
    if duration >= options.max_duration_sec:
        return Dropped("too_long", found, f"{options.max_duration_sec:g} s")
    return None


def _judge_rate(text: str, duration: float, options: FilterOptions) -> Dropped | None:
    rate = sum(not char.isspace() for char in text) / duration
    least, most = options.min_chars_per_sec, options.max_chars_per_sec
    if rate <= least:
        return Dropped("too_few_chars_per_sec", f"{rate:.2f}", f"{least:g}")
    if rate >= most:
        return Dropped("too_many_chars_per_sec", f"{rate:.2f}", f"{most:g}")
    return None


def _judge_clipping(share: float, options: FilterOptions) -> Dropped | None:
    if share <= options.max_clipped_share:
        return None
    return Dropped("clipped", f"{share:.4%}", f"{options.max_clipped_share:.4%}")


def _judge_quality(
    tables: Tables, utt_id: str, options: FilterOptions
) -> Dropped | None:
    for limit in options.quality_limits:
        value = limit.find_value(tables, utt_id)
        if not limit.accepts(value):
            return Dropped("low_match_quality", f"{limit.name} {value}", str(limit))
    return None
