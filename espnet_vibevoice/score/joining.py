"""All that was found out about one utterance, from wherever it was found.

What is missing gets its reason. A synthesis without audio counts as one that says
nothing; natural or resynthesised audio that cannot be read is left out of the figures.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from espnet_vibevoice.score.columns import NATURAL, SIGNAL, SYNTHESIS
from espnet_vibevoice.score.error_rates import (
    ZWNJ_READINGS,
    TextScore,
    prepare_text,
    score_text,
)
from espnet_vibevoice.score.failures import judge_failures
from espnet_vibevoice.score.model_measures import MoreMeasures
from espnet_vibevoice.score.scored_utterance import ScoredUtterance
from espnet_vibevoice.score.set_files import Hypotheses, SetTables
from espnet_vibevoice.score.signal_measures import Measured, Signal

NO_REFERENCE = "no reference text"
_NOTHING = Measured()


@dataclass(frozen=True)
class Findings:
    """What was found out about a set.

    Attributes:
        tables (SetTables): References, speakers and audio.
        signal (Signal): Measures of the signal.
        hypotheses (Mapping): Recogniser to system to hypotheses; the first recogniser
            gives ``cer``.
        more (tuple[MoreMeasures, ...]): Similarity and what VERSA found.
    """

    tables: SetTables
    signal: Signal
    hypotheses: Mapping[str, Mapping[str, Hypotheses]]
    more: tuple[MoreMeasures, ...]


def join_utterance(findings: Findings, utt_id: str, system: str) -> ScoredUtterance:
    """Join what is known of one utterance of one system.

    Args:
        findings (Findings): All of the set.
        utt_id (str): Utterance id.
        system (str): natural | resynthesis | synthesis; its audio is available.
    """
    tables = findings.tables
    wav = tables.systems[system].wavs.get(utt_id, "")
    measured = findings.signal[system].get(utt_id, _NOTHING)
    has_audio = measured.seconds is not None
    reasons = [_explain_audio(findings, utt_id, system)] if not has_audio else []
    counts = has_audio or system == SYNTHESIS  # leaving it out would flatter
    reference = prepare_text(tables.references.get(utt_id, ""))
    texts, heard = {}, None
    if not reference:
        reasons.append(NO_REFERENCE)
    if counts:
        heard, missing = _find_hypotheses(findings, utt_id, system, has_audio)
        reasons += missing
        if reference:
            texts = {
                name: _compare(tables.references[utt_id], text)
                for name, text in heard.items()
            }
    values = measured.values
    measures = {name: values[name] for name in SIGNAL if name in values}
    notes = _join_reasons(measured.reasons) if has_audio else []
    for more in findings.more:
        measures |= more.values.get(system, {}).get(utt_id, {})
        fault = more.faults.get(system, {}).get(utt_id)
        notes += [fault] if fault else []
    return ScoredUtterance(
        utterance=utt_id,
        speaker=tables.speakers.get(utt_id, ""),
        system=system,
        wav=wav,
        has_audio=has_audio,
        reasons=tuple(reasons),
        notes=tuple(notes),
        seconds=measured.seconds,
        texts=texts,
        reference=reference,
        measures=measures,
        faults=_judge(findings, utt_id, system, heard) if counts else None,
    )


def _explain_audio(findings: Findings, utt_id: str, system: str) -> str:
    audio = findings.tables.systems[system]
    if utt_id in audio.failures:
        return audio.failures[utt_id]
    if utt_id not in audio.wavs:
        return f"no {system} audio is listed"
    return findings.signal[system][utt_id].fault


def _find_hypotheses(
    findings: Findings, utt_id: str, system: str, has_audio: bool
) -> tuple[dict[str, str], list[str]]:
    """Texts by recogniser, and why some are missing; no audio is no text."""
    heard, reasons = {}, []
    for name, by_system in findings.hypotheses.items():
        found = by_system[system]
        if found.unavailable:
            reasons.append(f"recogniser {name}: {found.unavailable}")
        elif not has_audio:
            heard[name] = ""
        elif utt_id in found.texts:
            heard[name] = found.texts[utt_id]
        else:
            why = found.failures.get(utt_id, "gave no text: run stage 7 again")
            reasons.append(f"recogniser {name}: {why}")
    return heard, reasons


def _compare(reference: str, hypothesis: str) -> dict[str, TextScore]:
    return {zwnj: score_text(reference, hypothesis, zwnj) for zwnj in ZWNJ_READINGS}


def _judge(
    findings: Findings, utt_id: str, system: str, heard: Mapping[str, str] | None
) -> tuple[str, ...]:
    """Name what is grossly wrong, by the first recogniser where there is one."""
    measured = findings.signal[system].get(utt_id, _NOTHING)
    natural = findings.signal[NATURAL].get(utt_id, _NOTHING)
    has_audio = measured.seconds is not None
    first = next(iter(findings.hypotheses), None)
    return judge_failures(
        findings.tables.references.get(utt_id, ""),
        None if heard is None or first is None else heard.get(first),
        measured.seconds if has_audio else 0.0,
        natural.seconds,
        measured.level_dbfs if has_audio else -math.inf,
    )


def _join_reasons(reasons: Mapping[str, str]) -> list[str]:
    """Say each reason once, behind the measures that it holds for."""
    names: dict[str, list[str]] = {}
    for measure, reason in reasons.items():
        names.setdefault(reason, []).append(measure)
    return [f"{', '.join(names[reason])}: {reason}" for reason in names]
