"""Names that a scored set is stored under: systems, measures, columns.

`utterances.tsv` has one row for each utterance and system; `summary.json` one figure
for each measure and system. Whoever computes, stores, shows or compares scores takes
the names from here.
"""

NATURAL, RESYNTHESIS, SYNTHESIS = "natural", "resynthesis", "synthesis"
SYSTEMS = (NATURAL, RESYNTHESIS, SYNTHESIS)

OK, FAILED, INCOMPLETE = "ok", "failed", "incomplete"
STATUSES = (OK, FAILED, INCOMPLETE)

# Error rates as fractions; ZWNJ kept, merged to nothing, read as a space.
READING_SUFFIXES = {"kept": "", "merged": "_zwnj_merged", "space": "_zwnj_space"}
RATES = (
    "cer",
    "wer",
    "cer_zwnj_merged",
    "wer_zwnj_merged",
    "cer_zwnj_space",
    "wer_zwnj_space",
)
EDITS = (
    "char_substitutions",
    "char_insertions",
    "char_deletions",
    "word_substitutions",
    "word_insertions",
    "word_deletions",
)
# Characters and words of the references, and how many of them are which edits.
COUNTS = ("char_reference", *EDITS[:3], "word_reference", *EDITS[3:])
# Against the natural audio of the same utterance, which therefore has none itself.
AGAINST_NATURAL = ("mcd", "log_f0_rmse", "duration_ratio")
SIGNAL = (*AGAINST_NATURAL, "silence_share")
SIMILARITY = "speaker_similarity"
FAULTS = ("empty", "cut", "endless", "repeated")
FAILURE_RATES = ("failure_rate", *(f"{fault}_rate" for fault in FAULTS))
_LOWER_IS_BETTER = (*RATES, *EDITS, "mcd", "log_f0_rmse", *FAILURE_RATES)

COLUMNS = (
    "utterance",
    "speaker",
    "system",
    "status",
    "reason",
    "wav",
    "seconds",
    "reference",
    "hypothesis",
    "cer",
    "wer",
    *COUNTS,
    *RATES[2:],
    *SIGNAL,
    SIMILARITY,
    "faults",
)


def name_of_recognizer(name: str, column: str) -> str:
    """Name a column or measure of a recogniser that is not the first one.

    Example:
        >>> name_of_recognizer("whisper", "cer")
        'cer@whisper'
    """
    return f"{column}@{name}"


def list_recognizer_columns(name: str) -> list[str]:
    """Columns of ``utterances.tsv`` for a recogniser that is not the first one."""
    return [name_of_recognizer(name, c) for c in ("hypothesis", "cer", "wer")]


def name_versa(measure: str) -> str:
    """Name a measure of VERSA, e.g. ``versa_utmos``."""
    return f"versa_{measure}"


def find_direction(measure: str) -> int:
    """Return 1 if more is better, -1 if less is, 0 where that is not said.

    Ratios and shares of silence are best where natural speech has them; measures of
    VERSA are of either kind.
    """
    base = measure.partition("@")[0]
    if base == SIMILARITY:
        return 1
    return -1 if base in _LOWER_IS_BETTER else 0
