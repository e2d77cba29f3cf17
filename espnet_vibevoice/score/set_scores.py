"""All figures of a set: gathered, joined utterance by utterance, summed up, written.

Rows pass through one after the other; only numbers are held.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.score.columns import (
    COUNTS,
    OK,
    RATES,
    SYSTEMS,
    list_recognizer_columns,
    name_of_recognizer,
)
from espnet_vibevoice.score.joining import Findings, join_utterance
from espnet_vibevoice.score.meta import build_meta
from espnet_vibevoice.score.model_measures import measure_similarity, measure_with_versa
from espnet_vibevoice.score.scoring import ScoreRequest
from espnet_vibevoice.score.set_files import SetTables, read_hypotheses
from espnet_vibevoice.score.signal_measures import measure_set
from espnet_vibevoice.score.stored import META, UTTERANCES, write_figures, write_rows
from espnet_vibevoice.score.summary import MeasureList, SetSummary

NO_RECOGNIZER = "no recogniser is configured"
_MAX_REASON = 200  # characters in the list of gaps


def write_set_scores(request: ScoreRequest, tables: SetTables) -> bool:
    """Find out what is not known yet and write the three files of a scored set.

    Rows come first, as their figures are summed up on the way.

    Args:
        request (ScoreRequest): What to score, with what.
        tables (SetTables): The set.

    Returns:
        bool: Whether every model that was asked for did its work; if not, the next
            scoring has to try again.

    Raises:
        ValueError: A table is damaged, or no audio of any system can be read.
        OSError: A result cannot be written.
    """
    files, conf = request.files, request.conf
    findings = _find_out(request, tables)
    names = tuple(spec.name for spec in conf.recognizers)
    _, versa = findings.more
    measures = MeasureList(names, versa.names)
    figures = SetSummary(measures, conf.draws, conf.seed)
    faults: Counter[tuple[str, str, str]] = Counter()
    more_columns = [column for n in names[1:] for column in list_recognizer_columns(n)]
    more_columns += [name for name in versa.names if name in versa.measured]
    (files.score_dir / META).unlink(missing_ok=True)
    rows = _make_rows(findings, names, figures, faults)
    write_rows(files.score_dir / UTTERANCES, rows, more_columns)
    summary = figures.summarize(_explain(findings, measures.names))
    gaps = _list_gaps(findings, faults)
    utterances = len(tables.utterances)
    meta = build_meta(files, conf, request.command, utterances, gaps)
    write_figures(files.score_dir, summary, meta)
    return not any(more.is_asked_for and more.reasons for more in findings.more)


def _find_out(request: ScoreRequest, tables: SetTables) -> Findings:
    """Compute or look up everything that rows are made of."""
    files, conf, device = request.files, request.conf, request.device
    signal = measure_set(files, tables, request.nj)
    all_measured = [one for rows in signal.values() for one in rows.values()]
    if all(one.fault for one in all_measured):
        faults = summarize_faults([one.fault for one in all_measured], 3)
        raise ValueError(f"{files.decode_dir}: no audio can be read: {faults}.")
    hypotheses = {
        spec.name: read_hypotheses(files, tables, spec.name)
        for spec in conf.recognizers
    }
    more = (
        measure_similarity(files, tables, conf, device),
        measure_with_versa(files, tables, conf, use_gpu=device != "cpu"),
    )
    return Findings(tables, signal, hypotheses, more)


def _make_rows(
    findings: Findings,
    recognizers: tuple[str, ...],
    figures: SetSummary,
    faults: Counter[tuple[str, str, str]],
) -> Iterator[dict[str, str]]:
    """Give row after row; add each to the figures, and its reasons to the faults."""
    systems = [s for s in SYSTEMS if not findings.tables.systems[s].unavailable]
    for utt_id in findings.tables.utterances:
        for system in systems:
            scored = join_utterance(findings, utt_id, system)
            figures.add(scored)
            if scored.status != OK:
                faults[system, scored.status, scored.reasons[0]] += 1
            yield scored.make_row(recognizers)


def _explain(findings: Findings, measures: list[str]) -> dict[tuple[str, str], str]:
    """Say why a measure of a system has no value, where that is known for the whole."""
    reasons: dict[tuple[str, str], str] = {}
    for more in findings.more:
        reasons |= more.reasons
    first = next(iter(findings.hypotheses), None)
    for system in SYSTEMS:
        for number, (name, by_system) in enumerate(findings.hypotheses.items()):
            if by_system[system].unavailable:
                for measure in _list_rates(name, is_first=number == 0):
                    reasons[measure, system] = by_system[system].unavailable
        unavailable = findings.tables.systems[system].unavailable
        if unavailable:
            reasons |= {(measure, system): unavailable for measure in measures}
        elif first is None:
            for measure in (*RATES, *COUNTS):
                reasons[measure, system] = NO_RECOGNIZER
    return reasons


def _list_rates(recognizer: str, is_first: bool) -> tuple[str, ...]:
    if is_first:
        return (*RATES, *COUNTS)
    return tuple(name_of_recognizer(recognizer, rate) for rate in ("cer", "wer"))


def _list_gaps(
    findings: Findings, faults: Mapping[tuple[str, str, str], int]
) -> list[str]:
    """List what was asked for and has no value."""
    gaps = [
        f"{system}: {count} utterances are {status}: {_shorten(reason)}"
        for (system, status, reason), count in faults.items()
    ]
    for more in findings.more:
        if more.is_asked_for:
            reasons = {f"{name}: {why}" for (name, _), why in more.reasons.items()}
            gaps += sorted(reasons)
    return gaps


def _shorten(reason: str) -> str:
    return reason if len(reason) <= _MAX_REASON else f"{reason[: _MAX_REASON - 3]}..."
