"""Which utterances a page shows when it cannot show all.

A page of the worst alone frightens, one of the best alone flatters: it shows a third
of the highest error rates, a third of the lowest, and a third around the median.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

HIGHEST, TYPICAL, LOWEST = "highest", "typical", "lowest"


@dataclass(frozen=True)
class Selection:
    """What is shown, and why.

    Attributes:
        groups (dict[str, str]): Utterance to `HIGHEST`, `TYPICAL`, `LOWEST` or an
            empty text, in the order of the set.
        total (int): Utterances of the set.
        rule (str): How they were chosen, a sentence.
    """

    groups: dict[str, str]
    total: int
    rule: str

    def describe(self) -> str:
        """Say in one or two sentences how much is shown and by which rule."""
        count = len(self.groups)
        if count == self.total:
            return f"All {count} utterances of the set are shown."
        share = 100 * count / self.total
        return (
            f"{count} of {self.total} utterances are shown ({share:.3g} %). {self.rule}"
        )


def select_by_error(rates: Mapping[str, float | None], max_utts: int) -> Selection:
    """Choose the highest, the lowest and typical error rates.

    Args:
        rates (Mapping): Utterance to error rate, in the order of the set; None where
            there is none.
        max_utts (int): Utterances to choose, 0 or more.

    Returns:
        Selection: Ties are decided by the utterance id. Where fewer rates than wanted
        are known, the rest is spread evenly over the utterances without one.
    """
    total = len(rates)
    if total <= max_utts:
        return Selection(dict.fromkeys(rates, ""), total, "")
    ranked = sorted((u for u in rates if rates[u] is not None), key=_rank_by(rates))
    unknown = [u for u in rates if rates[u] is None]
    if len(ranked) < max_utts:
        spread = spread_evenly(unknown, max_utts - len(ranked))
        groups = dict.fromkeys([*ranked, *spread], "")
        rule = "Those with an error rate, and others spread evenly over the set."
        if not ranked:
            rule = "There are no error rates: they are spread evenly over the set."
        return Selection({u: "" for u in rates if u in groups}, total, rule)
    highest = -(-max_utts // 3)
    lowest = (max_utts - highest + 1) // 2
    typical = max_utts - highest - lowest
    middle = ranked[highest : len(ranked) - lowest]
    begin = (len(middle) - typical) // 2
    groups = dict.fromkeys(ranked[:highest], HIGHEST)
    groups |= dict.fromkeys(ranked[len(ranked) - lowest :], LOWEST)
    groups |= dict.fromkeys(middle[begin : begin + typical], TYPICAL)
    rule = (
        f"By the character error rate of the synthesis: the {highest} highest, the "
        f"{lowest} lowest, and {typical} around the median."
    )
    return Selection({u: groups[u] for u in rates if u in groups}, total, rule)


def select_by_chance(utterances: Sequence[str], max_utts: int, seed: int) -> Selection:
    """Draw utterances without looking at their scores.

    For votes: a choice by the scores of one system would favour another.

    Args:
        utterances (Sequence[str]): All, in the order of the set.
        max_utts (int): How many, 0 or more.
        seed (int): Equal seeds give equal draws.
    """
    chosen = set(utterances)
    if len(utterances) > max_utts:
        chosen = set(random.Random(seed).sample(sorted(utterances), max_utts))
    rule = f"Drawn by chance (seed {seed}), without regard to any score."
    groups = {u: "" for u in utterances if u in chosen}
    return Selection(groups, len(utterances), rule)


def spread_evenly(names: Sequence[str], count: int) -> list[str]:
    """Take ``count`` of the names at equal distances, all if there are fewer."""
    if count >= len(names):
        return list(names)
    return [names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count)]


def _rank_by(
    rates: Mapping[str, float | None],
) -> Callable[[str], tuple[float, str]]:
    """Key that sorts the highest rate first, ties by name."""
    return lambda utterance: (-rates[utterance], utterance)
