"""What filtering kept and dropped: counts by reason and hours, as text.

Example::

                     utterances   hours
    kept                   9876   12.34
    dropped                  77    0.10
      too_long               74    0.10
      unreadable              3       -
    silence cut off           -    0.52

Hours of audio that was never formatted are not known.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from espnet_vibevoice.data.data_dir import Tables
from espnet_vibevoice.data.dropped import Dropped, count_reasons

REPORT_NAME = "filter_report.txt"


@dataclass(frozen=True)
class FilterReport:
    """Outcome of filtering.

    Args:
        num_utterances (int): Utterances kept.
        num_speakers (int): Their speakers.
        hours (float): Their duration.
        dropped (dict[str, Dropped]): Those left out, by earlier stages too.
        dropped_hours (dict[str, float]): By reason, where it is known.
        trimmed_hours (float | None): Silence that formatting cut off what is kept.
    """

    num_utterances: int
    num_speakers: int
    hours: float
    dropped: dict[str, Dropped]
    dropped_hours: dict[str, float]
    trimmed_hours: float | None

    @classmethod
    def collect(
        cls,
        kept: Collection[str],
        dropped: dict[str, Dropped],
        durations: Mapping[str, float],
        tables: Tables,
    ) -> "FilterReport":
        """Add up.

        Args:
            kept (Collection[str]): Utterances kept.
            dropped (dict[str, Dropped]): Utterances left out.
            durations (Mapping[str, float]): Seconds of all that were formatted.
            tables (Tables): Tables of the source.
        """
        dropped_hours: dict[str, float] = {}
        for utt_id, entry in sorted(dropped.items()):
            if utt_id in durations:
                hours = dropped_hours.get(entry.reason, 0.0)
                dropped_hours[entry.reason] = hours + durations[utt_id] / 3600
        trimmed = None
        if "utt2trim" in tables:
            table = tables["utt2trim"]
            trimmed = sum(sum(map(float, table[u].split())) for u in kept) / 3600
        return cls(
            num_utterances=len(kept),
            num_speakers=len({tables["utt2spk"][utt_id] for utt_id in kept}),
            hours=sum(durations[utt_id] for utt_id in kept) / 3600,
            dropped=dropped,
            dropped_hours=dropped_hours,
            trimmed_hours=trimmed,
        )

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

    def format_table(self) -> str:
        """Make the table of the module docstring."""
        rows: list[tuple[str, int | None, float | None]] = [
            ("kept", self.num_utterances, self.hours),
            ("dropped", len(self.dropped), sum(self.dropped_hours.values())),
        ]
        for reason, count in count_reasons(self.dropped).items():
            rows.append((f"  {reason}", count, self.dropped_hours.get(reason)))
        if self.trimmed_hours is not None:
            rows.append(("silence cut off", None, self.trimmed_hours))
        width = max(len(row[0]) for row in rows)
        lines = [f"{'':{width}}  utterances   hours"]
        for name, count, hours in rows:
            shown_count = "-" if count is None else str(count)
            shown_hours = "-" if hours is None else f"{hours:.2f}"
            lines.append(f"{name:{width}}  {shown_count:>10} {shown_hours:>7}")
        return "\n".join(lines) + "\n"
