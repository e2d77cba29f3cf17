"""Measures that a model outside of this package takes, where it is at hand.

Speaker similarity and what VERSA predicts: configured or not, there or not; in every
case the tables have a line for them, with figures or with the reason why not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from espnet_vibevoice.score.columns import SYSTEMS


@dataclass(frozen=True)
class MoreMeasures:
    """Measures of all systems from one source.

    Attributes:
        names (tuple[str, ...]): Measures, as in the tables.
        values (Mapping): System to utterance to measure to value.
        reasons (Mapping): Measure and system to why there is no value at all.
        faults (Mapping): System to utterance to why a value of it is missing.
        is_asked_for (bool): Whether values that are missing are a gap.
    """

    names: tuple[str, ...]
    values: Mapping[str, Mapping[str, Mapping[str, float]]] = field(
        default_factory=dict
    )
    reasons: Mapping[tuple[str, str], str] = field(default_factory=dict)
    faults: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_asked_for: bool = True

    @property
    def measured(self) -> set[str]:
        """Measures that have a value anywhere."""
        rows = (row for by_utt in self.values.values() for row in by_utt.values())
        return {name for row in rows for name in row}


def lack_measures(
    names: Iterable[str], reason: str, is_asked_for: bool = True
) -> MoreMeasures:
    """Measures without any value, all for the same reason.

    Args:
        names (Iterable[str]): Measures.
        reason (str): Why.
        is_asked_for (bool): See `MoreMeasures`.
    """
    names = tuple(names)
    reasons = {(name, system): reason for name in names for system in SYSTEMS}
    return MoreMeasures(names, reasons=reasons, is_asked_for=is_asked_for)
