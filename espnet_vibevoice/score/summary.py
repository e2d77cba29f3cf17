"""Figures of a whole set, from its utterances as they pass by.

Error rates are errors per unit of all references together, with an interval from
resampled utterances; measures are means over utterances; failures are shares.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from espnet_vibevoice.score.bootstrap import (
    Estimate,
    estimate_mean,
    estimate_ratio,
    estimate_share,
)
from espnet_vibevoice.score.columns import (
    AGAINST_NATURAL,
    COUNTS,
    FAILURE_RATES,
    FAULTS,
    NATURAL,
    RATES,
    READING_SUFFIXES,
    SIGNAL,
    SIMILARITY,
    SYSTEMS,
    name_of_recognizer,
)
from espnet_vibevoice.score.error_rates import EditCounts, TextScore
from espnet_vibevoice.score.scored_utterance import ScoredUtterance

_UNITS: dict[str, Callable[[TextScore], EditCounts]] = {
    "cer": lambda score: score.characters,
    "wer": lambda score: score.words,
}


@dataclass(frozen=True)
class MeasureList:
    """Which measures a set is summarised in.

    Args:
        recognizers (tuple[str, ...]): Names; the first one gives ``cer``.
        versa (tuple[str, ...]): Measures of VERSA, as ``versa_NAME``.
    """

    recognizers: tuple[str, ...] = ()
    versa: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """All measures, in the order of the table."""
        others = [
            name_of_recognizer(name, rate)
            for name in self.recognizers[1:]
            for rate in _UNITS
        ]
        means = [*SIGNAL, SIMILARITY]
        return [*RATES, *others, *COUNTS, *means, *FAILURE_RATES, *self.versa]

    def has(self, measure: str, system: str) -> bool:
        """Whether a system can have the measure at all."""
        return not (measure in AGAINST_NATURAL and system == NATURAL)


class SetSummary:
    """Collects what scored utterances add to the figures of their set.

    Holds a few numbers per utterance, no texts.

    Args:
        measures (MeasureList): What to summarise.
        draws (int): Bootstrap draws.
        seed (int): Of the bootstrap.
    """

    def __init__(self, measures: MeasureList, draws: int, seed: int):
        self._measures = measures
        self._draws = draws
        self._seed = seed
        # (measure, system) -> errors and units, values, or flags of its utterances
        self._ratios: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._values: dict[tuple[str, str], list[float]] = {}
        self._flags: dict[tuple[str, str], list[bool]] = {}

    def add(self, scored: ScoredUtterance) -> None:
        """Add one utterance of one system; what it lacks is not counted."""
        for number, name in enumerate(self._measures.recognizers):
            if name in scored.texts:
                self._add_texts(scored, name, is_first=number == 0)
        for measure, value in scored.measures.items():
            self._values.setdefault((measure, scored.system), []).append(value)
        if scored.faults is not None:
            flags = {"failure_rate": bool(scored.faults)}
            flags |= {f"{fault}_rate": fault in scored.faults for fault in FAULTS}
            for measure, flag in flags.items():
                self._flags.setdefault((measure, scored.system), []).append(flag)

    def summarize(self, reasons: Mapping[tuple[str, str], str]) -> dict:
        """Compute the figures.

        Args:
            reasons (Mapping): Measure and system to why it has no value.

        Returns:
            dict: As of `stored.StoredScores`.
        """
        summary: dict[str, dict] = {}
        for measure in self._measures.names:
            summary[measure] = {
                system: self._describe(measure, system, reasons)
                for system in SYSTEMS
                if self._measures.has(measure, system)
            }
        return summary

    def _add_texts(self, scored: ScoredUtterance, name: str, is_first: bool) -> None:
        texts, system = scored.texts[name], scored.system
        for reading, suffix in READING_SUFFIXES.items():
            if not is_first and reading != "kept":
                continue
            for rate, unit in _UNITS.items():
                counts = unit(texts[reading])
                measure = f"{rate}{suffix}"
                if not is_first:
                    measure = name_of_recognizer(name, measure)
                pair = (counts.errors, counts.reference_length)
                self._ratios.setdefault((measure, system), []).append(pair)
        if is_first:
            for prefix, rate in (("char", "cer"), ("word", "wer")):
                counts = _UNITS[rate](texts["kept"])
                numbers = {
                    "reference": counts.reference_length,
                    "substitutions": counts.substitutions,
                    "insertions": counts.insertions,
                    "deletions": counts.deletions,
                }
                for kind, number in numbers.items():
                    key = (f"{prefix}_{kind}", system)
                    self._counts.setdefault(key, []).append(number)

    def _describe(
        self, measure: str, system: str, reasons: Mapping[tuple[str, str], str]
    ) -> dict:
        estimate = self._estimate((measure, system))
        figure: dict = {
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "n": estimate.n,
        }
        if estimate.value is None:
            default = "no utterance has a value: see their reasons in utterances.tsv"
            figure["reason"] = reasons.get((measure, system), default)
        return figure

    def _estimate(self, key: tuple[str, str]) -> Estimate:
        if key in self._counts:
            numbers = self._counts[key]
            return Estimate(sum(numbers), None, None, len(numbers))
        if key in self._ratios:
            errors, units = _split(self._ratios[key])
            return estimate_ratio(errors, units, self._draws, self._seed)
        if key in self._flags:
            return estimate_share(self._flags[key])
        return estimate_mean(self._values.get(key, []), self._draws, self._seed)


def _split(pairs: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [first for first, _ in pairs], [second for _, second in pairs]
