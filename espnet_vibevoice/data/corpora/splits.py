"""Training, validation and test sets that share no utterance, sentence or speaker.

Each sentence (or speaker) has a fixed place in [0, 1) that follows from its text and
a seed alone. A set that is drawn by share takes the places below a bound, so adding
utterances to a corpus moves none; drawn by count it takes the lowest places, so for
each one that comes in at most one goes. What the corpus itself says is kept, but a
sentence that is in several of its sets stays in one only: test before valid before
train.
"""

import hashlib
import logging
from dataclasses import dataclass

from espnet_vibevoice.data.corpora.index import CorpusIndex

logger = logging.getLogger(__name__)
_SCALE = 2**64
_DRAWN = ("test", "valid")  # the first one wins


@dataclass(frozen=True)
class SetSize:
    """How much of a corpus a drawn set gets.

    Args:
        share (float | None): Share of the sentences or speakers, 0 to 1.
        count (int | None): Number of utterances.
    """

    share: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> "SetSize":
        """Read ``0.02`` or ``2%`` as a share and ``200`` as a count.

        Raises:
            ValueError: It is neither, or out of range.

        Example:
            >>> SetSize.parse("2%")
            SetSize(share=0.02, count=None)
        """
        fault = f"got {text!r}, wanted a share (0.02 or 2%) or a number of utterances"
        is_percent = text.endswith("%")
        try:
            number = float(text.removesuffix("%")) / (100 if is_percent else 1)
        except ValueError as err:
            raise ValueError(fault) from err
        if text.isdecimal():
            return cls(count=int(text))
        if not 0 <= number < 1:
            raise ValueError(fault)
        return cls(share=number)

    def __str__(self) -> str:
        if self.share is None:
            return f"{self.count} utterances"
        return f"{self.share:.3g} of it"

    @property
    def is_nothing(self) -> bool:
        """Whether the set is not wanted."""
        return not (self.share or self.count)


@dataclass(frozen=True)
class SplitOptions:
    """How sets are made.

    Args:
        valid_size (SetSize): Validation set, where the corpus has none.
        test_size (SetSize): Test set, where the corpus has none.
        by_speaker (bool): Sets share no speaker either.
        seed (int): Another seed draws other sets.
    """

    valid_size: SetSize = SetSize(share=0.01)
    test_size: SetSize = SetSize(share=0.01)
    by_speaker: bool = False
    seed: int = 0


def assign_sets(index: CorpusIndex, options: SplitOptions) -> None:
    """Give each utterance its set; list what is in two sets as refused.

    Args:
        index (CorpusIndex): All utterances; those without a set count as training.
        options (SplitOptions): How sets are made.

    Raises:
        ValueError: A set that is wanted cannot be drawn or nothing is left to train.
    """
    run = index.connection.execute
    given = {row[0] for row in run("SELECT DISTINCT split FROM utterances")}
    run("UPDATE utterances SET split = 'train' WHERE split IS NULL")
    group = "speaker" if options.by_speaker else "text_key"
    run(f"UPDATE utterances SET group_key = {group}")
    run("CREATE INDEX by_group ON utterances (group_key, split)")
    sizes = {"test": options.test_size, "valid": options.valid_size}
    for name in _DRAWN:
        if name in given or sizes[name].is_nothing:
            continue
        _draw(index, name, sizes[name], options.seed)
    if options.by_speaker:
        _refuse_shared(index, "speaker", "speaker_in_other_set")
    _refuse_shared(index, "text_key", "duplicate_text")
    for name in ("train", *[n for n in _DRAWN if not sizes[n].is_nothing]):
        if index.count(name) == 0:
            raise ValueError(
                f"The set {name} is empty: the corpus gives "
                f"{', '.join(sorted(given - {None})) or 'no sets'}, wanted valid "
                f"{options.valid_size}, test {options.test_size}. Change --valid_size "
                "and --test_size (a number for a small corpus, 0: no such set), under "
                "run.sh with --local_data_opts '--valid_size 5 --test_size 5', or get "
                "more data."
            )


def place_of(key: str, seed: int, salt: str) -> float:
    """Return the fixed place of a sentence or speaker in [0, 1)."""
    digest = hashlib.sha256(f"{seed}\0{salt}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _SCALE


def _draw(index: CorpusIndex, name: str, size: SetSize, seed: int) -> None:
    """Move sentences or speakers from train to a set that the corpus lacks."""
    run = index.connection.execute
    index.connection.create_function(
        "place_of", 1, lambda key: place_of(key, seed, name), deterministic=True
    )
    if size.share is not None:
        run(
            "UPDATE utterances SET split = ? WHERE split = 'train' AND "
            "place_of(group_key) < ?",
            (name, size.share),
        )
        return
    run("CREATE TEMP TABLE taken (group_key TEXT PRIMARY KEY) WITHOUT ROWID")
    groups = run(
        "SELECT group_key, COUNT(*) FROM utterances WHERE split = 'train' "
        "GROUP BY group_key ORDER BY place_of(group_key), group_key"
    )
    left = size.count or 0
    taken = []
    for key, members in groups:
        if members <= left:
            taken.append((key,))
            left -= members
        if left == 0:
            break
    groups.close()
    index.connection.executemany("INSERT INTO taken VALUES (?)", taken)
    run(
        "UPDATE utterances SET split = ? WHERE split = 'train' AND group_key IN "
        "(SELECT group_key FROM taken)",
        (name,),
    )
    run("DROP TABLE taken")
    if left:
        logger.warning("%s: wanted %s utterances, drew %d fewer", name, size, left)


def _refuse_shared(index: CorpusIndex, column: str, reason: str) -> None:
    """Take from a set what a set that goes before it has as well."""
    run = index.connection.execute
    for better, worse in (("test", "valid"), ("test", "train"), ("valid", "train")):
        shared = (
            f"split = '{worse}' AND {column} IN "
            f"(SELECT {column} FROM utterances WHERE split = '{better}')"
        )
        run(
            "INSERT INTO refused SELECT utt_id, ?, text, ? FROM utterances "
            f"WHERE {shared}",
            (reason, f"not in {worse} what {better} has"),
        )
        run(f"DELETE FROM utterances WHERE {shared}")
