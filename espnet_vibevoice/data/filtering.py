"""Filter formatted utterances by length, text and speaking rate; list what goes."""

import math
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.data_dir import (
    Tables,
    copy_data_dir,
    find_unusable,
    read_data_dir,
)
from espnet_vibevoice.data.dropped import (
    Dropped,
    count_reasons,
    read_dropped,
    write_dropped,
)
from espnet_vibevoice.data.kaldi import describe_ids
from espnet_vibevoice.text.tokenizer import TextTokenizer


@dataclass(frozen=True)
class FilterOptions:
    """What to keep. All limits are exclusive, as in ESPnet.

    Args:
        min_duration_sec (float): Shorter utterances, or equally long ones, go.
        max_duration_sec (float): Longer utterances, or equally long ones, go.
        min_chars_per_sec (float): Characters (blanks not counted) per second; a
            lower rate hints at missing text.
        max_chars_per_sec (float): A higher rate hints at missing speech.
        keep_all (bool): Keep all but the unusable ones, as for test sets.
    """

    min_duration_sec: float = 0.0
    max_duration_sec: float = math.inf
    min_chars_per_sec: float = -math.inf
    max_chars_per_sec: float = math.inf
    keep_all: bool = False


@dataclass(frozen=True)
class FilterReport:
    """Outcome of filtering.

    Args:
        num_utterances (int): Utterances kept.
        num_speakers (int): Their speakers.
        hours (float): Their duration.
        dropped (dict[str, Dropped]): Those left out, by formatting too.
    """

    num_utterances: int
    num_speakers: int
    hours: float
    dropped: dict[str, Dropped]

    def describe(self) -> str:
        """One line, e.g. ``98 utterances kept, 0.21 h, 1 speakers; dropped 2: ...``."""
        reasons = ", ".join(
            f"{count} {reason}" for reason, count in count_reasons(self.dropped).items()
        )
        return (
            f"kept {self.num_utterances} utterances, {self.hours:.2f} h, speakers: "
            f"{self.num_speakers}; dropped {len(self.dropped)}"
            + (f" ({reasons})" if reasons else "")
        )


def filter_data_dir(
    source: str | Path, target: str | Path, fs: int, options: FilterOptions
) -> FilterReport:
    """Copy the utterances that pass; list the others in ``dropped.tsv``.

    Args:
        source (str | Path): Formatted data directory, with ``utt2num_samples``.
        target (str | Path): Data directory to make or renew.
        fs (int): Sampling rate of the audio in Hz.
        options (FilterOptions): What to keep.

    Returns:
        FilterReport: What was kept and dropped.

    Raises:
        FileNotFoundError: The source or a table of it is missing.
        ValueError: No utterance passes.
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
    kept = [utt_id for utt_id in tables["utt2spk"] if utt_id not in dropped]
    if not kept:
        raise ValueError(
            f"{source}: no utterance of {describe_ids(dropped)} passes {options}: "
            f"{count_reasons(dropped)}. Check these limits."
        )
    if (source / "dropped.tsv").is_file():
        dropped = read_dropped(source / "dropped.tsv") | dropped
    copy_data_dir(source, target, kept)
    write_dropped(target / "dropped.tsv", dropped)
    return FilterReport(
        num_utterances=len(kept),
        num_speakers=len({tables["utt2spk"][utt_id] for utt_id in kept}),
        hours=sum(durations[utt_id] for utt_id in kept) / 3600,
        dropped=dropped,
    )


def find_dropped(
    tables: Tables, durations: dict[str, float], options: FilterOptions
) -> dict[str, Dropped]:
    """Judge each utterance.

    Args:
        tables (Tables): Tables of the data directory.
        durations (dict[str, float]): Duration of each utterance in seconds.
        options (FilterOptions): What to keep.

    Returns:
        dict[str, Dropped]: Utterances that do not pass.
    """
    dropped = {}
    for utt_id, reason in find_unusable(tables).items():
        short = "empty_text" if reason == "empty text" else "incomplete"
        dropped[utt_id] = Dropped(short, reason)
    for utt_id in tables["utt2spk"].keys() - dropped.keys():
        fault = _judge(tables["text"][utt_id], durations[utt_id], options)
        if fault is not None:
            dropped[utt_id] = fault
    return dropped


def _judge(text: str, duration: float, options: FilterOptions) -> Dropped | None:
    if duration <= 0:
        return Dropped("empty_audio", "0 s")
    if not TextTokenizer.is_speakable(text):
        return Dropped("no_letters", text)
    if options.keep_all:
        return None
    rate = sum(not char.isspace() for char in text) / duration
    if duration <= options.min_duration_sec:
        return Dropped("too_short", f"{duration:.3f} s")
    if duration >= options.max_duration_sec:
        return Dropped("too_long", f"{duration:.3f} s")
    if rate <= options.min_chars_per_sec:
        return Dropped("too_few_chars_per_sec", f"{rate:.2f}")
    if rate >= options.max_chars_per_sec:
        return Dropped("too_many_chars_per_sec", f"{rate:.2f}")
    return None
