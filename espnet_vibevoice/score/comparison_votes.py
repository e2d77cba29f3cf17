"""Votes of blind listening, as the comparison page writes them, and their counts.

One line per vote, tab-separated, under a header: which utterance, which two systems,
which of them was better, who listened and when. Other columns of the page (side,
seconds) are for those who look closer.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from espnet_vibevoice.data.kaldi import iterate_lines
from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.score.bootstrap import LEVEL, Estimate

VOTE_COLUMNS = ("utterance", "system_a", "system_b", "vote", "listener", "time")
SAME = "same"
CHOICES = ("system_a", "system_b", SAME)


@dataclass(frozen=True)
class Vote:
    """One answer of a listener.

    Attributes:
        utterance (str): Which one was heard.
        system_a (str): One system.
        system_b (str): The other one.
        vote (str): ``system_a``, ``system_b`` or ``same``.
        listener (str): Who listened.
        time (str): When, in ISO 8601, which sorts as text.
    """

    utterance: str
    system_a: str
    system_b: str
    vote: str
    listener: str
    time: str

    @property
    def pair(self) -> frozenset[str]:
        """Both systems, whichever is called A."""
        return frozenset((self.system_a, self.system_b))

    @property
    def preferred(self) -> str:
        """Name of the better system, or ``same``."""
        named = {"system_a": self.system_a, "system_b": self.system_b}
        return named.get(self.vote, SAME)


@dataclass(frozen=True)
class Preference:
    """Votes on one pair of systems.

    Attributes:
        system (str): One of them.
        other (str): The other one.
        wins (int): Votes for `system`.
        losses (int): Votes for `other`.
        ties (int): Votes for neither.
        share (Estimate): Share of `system` in the votes for either, with its 95%
            interval (of Wilson); n is their number.
        p_value (float | None): Of the two-sided binomial test against one half; None
            without such votes.
    """

    system: str
    other: str
    wins: int
    losses: int
    ties: int
    share: Estimate
    p_value: float | None


def read_votes(paths: Sequence[Path], names: Sequence[str]) -> list[Vote]:
    """Read the votes of listeners, one file each or several in one.

    Who saves a page twice has many votes in both files: of votes of one listener on
    one pair and utterance, the newest counts.

    Args:
        paths (Sequence[Path]): Files.
        names (Sequence[str]): Systems that may be voted on.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A header or lines that are not votes on these systems.
    """
    faults: list[str] = []
    newest: dict[tuple[str, str, frozenset[str]], Vote] = {}
    for path in paths:
        for where, row in _iterate_rows(path, faults):
            fault = _find_fault(row, names)
            if fault:
                faults.append(f"{where}: {fault}")
                continue
            vote = Vote(*(row[column] for column in VOTE_COLUMNS))
            key = (vote.listener, vote.utterance, vote.pair)
            if key not in newest or newest[key].time < vote.time:
                newest[key] = vote
    if faults:
        raise ValueError(f"{summarize_faults(faults)}. Mend or remove these lines.")
    return list(newest.values())


def count_preferences(
    votes: Sequence[Vote], names: Sequence[str], utterances: Sequence[str]
) -> list[Preference]:
    """Count votes pair by pair.

    The interval takes votes as independent: with few listeners, who each vote often,
    it is too narrow.

    Args:
        votes (Sequence[Vote]): All votes.
        names (Sequence[str]): Systems, the one compared with first.
        utterances (Sequence[str]): Votes on others are not counted.

    Returns:
        list[Preference]: One for each pair that was voted on; `other` is the one that
        is named earlier.
    """
    known = set(utterances)
    counts = Counter(
        (vote.pair, vote.preferred) for vote in votes if vote.utterance in known
    )
    preferences = []
    for other, system in itertools.combinations(names, 2):
        pair = frozenset((system, other))
        wins, losses, ties = (counts[pair, choice] for choice in (system, other, SAME))
        if wins + losses + ties:
            share, p_value = _test_share(wins, wins + losses)
            preferences.append(
                Preference(system, other, wins, losses, ties, share, p_value)
            )
    return preferences


def _iterate_rows(
    path: Path, faults: list[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Give place and cells of each line; lines of another shape go to the faults."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of votes.")
    lines = iterate_lines(path)
    columns = next(lines, "").split("\t")
    if not set(VOTE_COLUMNS) <= set(columns):
        raise ValueError(
            f"{path}:1: want the columns {', '.join(VOTE_COLUMNS)}, got "
            f"{', '.join(columns)}. Give a file that the comparison page wrote."
        )
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if len(cells) == len(columns):
            yield f"{path}:{number}", dict(zip(columns, cells, strict=True))
        else:
            faults.append(
                f"{path}:{number}: got {len(cells)} columns, want {len(columns)}"
            )


def _find_fault(row: Mapping[str, str], names: Sequence[str]) -> str:
    heard = [row["system_a"], row["system_b"]]
    unknown = [name for name in heard if name not in names]
    if unknown:
        return f"{unknown[0]!r} is none of the systems {', '.join(names)}"
    if heard[0] == heard[1]:
        return f"{heard[0]!r} is on both sides"
    if row["vote"] not in CHOICES:
        return f"vote is {row['vote']!r}, want one of {', '.join(CHOICES)}"
    return ""


def _test_share(wins: int, decided: int) -> tuple[Estimate, float | None]:
    if not decided:
        return Estimate(None, None, None, 0), None
    test = binomtest(wins, decided)
    interval = test.proportion_ci(LEVEL, method="wilson")
    share = Estimate(wins / decided, float(interval.low), float(interval.high), decided)
    return share, float(test.pvalue)
