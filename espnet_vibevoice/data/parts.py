"""Join what the jobs of formatting have made to one data directory.

Tables of the source are sorted and the parts follow their order, so everything passes
through as a stream; only the list of unusable utterances is held.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from espnet_vibevoice.data.data_dir import (
    copy_speaker_tables,
    list_table_names,
    remove_other_tables,
    validate_data_dir,
    write_spk2utt,
)
from espnet_vibevoice.data.dropped import (
    FILE_NAME,
    Dropped,
    check_dropped_share,
    read_dropped,
    read_dropped_of,
    write_dropped,
)
from espnet_vibevoice.data.files import write_lines, write_text
from espnet_vibevoice.data.formatting import PART_TABLES
from espnet_vibevoice.data.kaldi import describe_ids, format_row, iterate_table

# What says something about the audio as it was, and what the parts bring.
_REPLACED = {"segments", "utt2dur", "feats.scp", *PART_TABLES}


def collect_parts(
    source_dir: str | Path,
    out_dir: str | Path,
    num_parts: int,
    max_dropped: float = 0.01,
) -> dict[str, Dropped]:
    """Join the parts of all jobs to a data directory with the source's other tables.

    Args:
        source_dir (str | Path): Data directory that was formatted; validated.
        out_dir (str | Path): Data directory to complete.
        num_parts (int): Number of jobs.
        max_dropped (float): Share of unusable utterances to put up with.

    Returns:
        dict[str, Dropped]: Utterances that formatting could not use. ``dropped.tsv``
            lists them and those that the source had left out before.

    Raises:
        FileNotFoundError: A job has not finished.
        ValueError: Utterances of the source are in no part, or too many are
            unusable.
    """
    source_dir, out_dir = Path(source_dir), Path(out_dir)
    parts = [out_dir / "data" / f"format.{job}" for job in range(1, num_parts + 1)]
    _check_finished(parts)
    dropped: dict[str, Dropped] = {}
    for part in parts:
        dropped |= read_dropped(part / FILE_NAME)
    total = _check_complete(source_dir, parts, dropped)
    listing = out_dir / FILE_NAME
    write_dropped(listing, read_dropped_of(source_dir) | dropped)
    check_dropped_share(dropped, total, max_dropped, listing)
    names = [n for n in list_table_names(source_dir) if n not in _REPLACED]
    remove_other_tables(out_dir, [*names, *PART_TABLES])
    for name in names:
        rows = iterate_table(source_dir / name)
        write_lines(
            out_dir / name, (format_row(*r) for r in rows if r[0] not in dropped)
        )
    for name in PART_TABLES:
        rows = itertools.chain.from_iterable(iterate_table(p / name) for p in parts)
        write_lines(out_dir / name, (format_row(*row) for row in rows))
    write_spk2utt(out_dir)
    copy_speaker_tables(source_dir, out_dir)
    write_text(out_dir / "feats_type", "raw\n")
    validate_data_dir(out_dir)
    return dropped


def _check_finished(parts: list[Path]) -> None:
    for job, part in enumerate(parts, start=1):
        for name in (*PART_TABLES, FILE_NAME):
            if not (part / name).is_file():
                raise FileNotFoundError(
                    f"{part / name} is missing: formatting job {job} has not "
                    "finished. Run the formatting again."
                )


def _check_complete(
    source_dir: Path, parts: list[Path], dropped: dict[str, Dropped]
) -> int:
    """Check that the parts hold the source but for what was dropped, in its order.

    Returns:
        int: Number of utterances of the source.
    """
    total = 0
    done = _iterate_done(parts)
    for utt_id, _ in iterate_table(source_dir / "utt2spk"):
        total += 1
        if utt_id not in dropped and next(done, None) != utt_id:
            break
    else:
        if next(done, None) is None:
            return total
    wanted = {utt_id for utt_id, _ in iterate_table(source_dir / "utt2spk")}
    lost = wanted - dropped.keys() - set(_iterate_done(parts))
    if lost:
        raise ValueError(
            f"{parts[0].parents[1]}: utterances of {source_dir} that no job has "
            f"formatted: {describe_ids(lost)}. Run the formatting again."
        )
    raise ValueError(
        f"{source_dir}: its tables are not sorted, or are others than those that were "
        "formatted. Run fix_data_dir on it, then the formatting again."
    )


def _iterate_done(parts: list[Path]) -> Iterator[str]:
    for part in parts:
        for utt_id, _ in iterate_table(part / "wav.scp"):
            yield utt_id
