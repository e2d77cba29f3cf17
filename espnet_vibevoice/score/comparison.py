"""Several systems on one list of utterances: each measure, and each difference.

All figures are taken again over the utterances that the systems share, so that no
list is easier than another. Differences are to the first system, pair by pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from espnet_vibevoice.score.bootstrap import Estimate, PairedEstimate
from espnet_vibevoice.score.columns import (
    NATURAL,
    RESYNTHESIS,
    SYNTHESIS,
    SYSTEMS,
    find_direction,
)
from espnet_vibevoice.score.comparison_systems import (
    Agreement,
    ComparedSystem,
    agree,
    group_rows,
)
from espnet_vibevoice.score.comparison_values import (
    Row,
    list_measures,
    read_values,
)
from espnet_vibevoice.score.stored import StoredScores
from espnet_vibevoice.score.summary import MeasureList

CEILINGS = (NATURAL, RESYNTHESIS)
BETTER, WORSE, DIFFERS = "better", "worse", "differs"


@dataclass(frozen=True)
class ComparedMeasure:
    """One measure of all systems.

    Attributes:
        measure (str): Its name.
        figures (Mapping[str, Estimate]): Name of a system, or of a ceiling, to value.
        differences (Mapping[str, PairedEstimate]): Name of each further system to its
            difference from the first; empty for totals.
    """

    measure: str
    figures: Mapping[str, Estimate]
    differences: Mapping[str, PairedEstimate]

    def judge(self, name: str) -> str:
        """Say what a significant difference means, empty if there is none.

        Returns:
            str: ``better`` or ``worse`` than the first system; ``differs`` where
            neither direction is better as such.
        """
        paired = self.differences.get(name)
        if paired is None or paired.difference is None or not paired.is_significant:
            return ""
        direction = find_direction(self.measure)
        if direction == 0:
            return DIFFERS
        return BETTER if direction * paired.difference > 0 else WORSE


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        systems (tuple[ComparedSystem, ...]): The first one is what others are
            compared with; their scores are those of the common utterances.
        agreement (Agreement): What they have in common.
        measures (tuple[ComparedMeasure, ...]): Those that any of them has.
        draws (int): Bootstrap draws.
        seed (int): Of the bootstrap.
    """

    systems: tuple[ComparedSystem, ...]
    agreement: Agreement
    measures: tuple[ComparedMeasure, ...]
    draws: int
    seed: int

    @property
    def names(self) -> list[str]:
        """Names of the systems."""
        return [system.name for system in self.systems]


def compare_systems(
    systems: Sequence[ComparedSystem], draws: int, seed: int
) -> Comparison:
    """Compare systems with the first one of them.

    Args:
        systems (Sequence[ComparedSystem]): Two or more.
        draws (int): Bootstrap draws.
        seed (int): Of the bootstrap.

    Raises:
        ValueError: They cannot be compared; see `comparison_systems.agree`.
    """
    agreement = agree(systems)
    rows = {system.name: group_rows(system.scores) for system in systems}
    known = [row for system in systems for row in system.scores.rows[:1]]
    measures = [
        measure
        for measure in list_measures(known, agreement.recognizers)
        if not measure.startswith(agreement.left_out)
    ]
    compared = [
        _compare_measure(measure, rows, agreement.utterances, draws, seed)
        for measure in measures
    ]
    with_value = [
        found
        for found in compared
        if any(figure.n for figure in found.figures.values())
    ]
    return Comparison(
        tuple(
            _restrict(system, rows[system.name], agreement, measures, draws, seed)
            for system in systems
        ),
        agreement,
        tuple(with_value),
        draws,
        seed,
    )


def _compare_measure(
    measure: str,
    rows: Mapping[str, Mapping[str, Mapping[str, Row]]],
    utterances: Sequence[str],
    draws: int,
    seed: int,
) -> ComparedMeasure:
    first, *others = rows
    figures = {
        ceiling: read_values(rows[first][ceiling], utterances, measure).estimate(
            draws, seed
        )
        for ceiling in CEILINGS
    }
    values = {
        name: read_values(rows[name][SYNTHESIS], utterances, measure) for name in rows
    }
    figures |= {name: known.estimate(draws, seed) for name, known in values.items()}
    differences = {
        name: values[first].compare(values[name], draws, seed) for name in others
    }
    return ComparedMeasure(
        measure,
        figures,
        {name: paired for name, paired in differences.items() if paired is not None},
    )


def _restrict(
    system: ComparedSystem,
    rows: Mapping[str, Mapping[str, Row]],
    agreement: Agreement,
    measures: Sequence[str],
    draws: int,
    seed: int,
) -> ComparedSystem:
    """Reduce the scores of a system to what is compared."""
    utterances = agreement.utterances
    summary: dict[str, dict] = {}
    for measure in measures:
        summary[measure] = {}
        for name in SYSTEMS:
            if not MeasureList().has(measure, name):
                continue
            values = read_values(rows[name], utterances, measure)
            summary[measure][name] = _describe(values.estimate(draws, seed))
    kept = set(utterances)
    scores = StoredScores(
        system.scores.meta,
        summary,
        [row for row in system.scores.rows if row["utterance"] in kept],
    )
    return ComparedSystem(system.name, system.score_dir, scores)


def _describe(estimate: Estimate) -> dict:
    figure = asdict(estimate)
    if estimate.value is None:
        figure["reason"] = "none of the compared utterances has a value"
    return figure
