"""Measures of the signal for all audio of a set: several processes, nothing twice.

Every wav is measured alone and against the natural audio of its utterance
(`measure_utterance`, which a file never breaks: one that is missing, empty or
unreadable has no figures and says why). What was measured before is taken from a
journal beside the hypotheses of its system (`measure_set`).
"""

import dataclasses
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from espnet_vibevoice.data.audio import AudioError, load_audio, resample, to_mono
from espnet_vibevoice.score.acoustics import measure_against, measure_alone
from espnet_vibevoice.score.columns import AGAINST_NATURAL, NATURAL, SIGNAL, SYSTEMS
from espnet_vibevoice.score.countdown import Countdown
from espnet_vibevoice.score.measure_journal import (
    METHOD,
    MeasureJournal,
    fingerprint_files,
)
from espnet_vibevoice.score.set_files import SetFiles, SetTables

JOURNAL = "acoustics.jsonl"
_LEAST_POWER = 1e-12  # -120 dBFS


@dataclass(frozen=True)
class Measured:
    """What was measured of an utterance.

    Attributes:
        values (dict[str, float]): Measure of ``columns.SIGNAL`` to value, and
            ``log_f0_pairs``, the pairs of frames behind ``log_f0_rmse``.
        reasons (dict[str, str]): Measure to why it has no value.
        seconds (float | None): Duration; None if the audio cannot be read.
        level_dbfs (float | None): Root mean square; None likewise. -120 at least.
        fault (str): Why the audio cannot be read; empty if it can.
    """

    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    level_dbfs: float | None = None
    fault: str = ""


Signal = dict[str, dict[str, Measured]]  # system to utterance to measures


@dataclass(frozen=True)
class AudioTask:
    """One wav to measure.

    Attributes:
        system (str): System that it is of.
        utterance (str): Utterance id.
        wav (str): Path.
        natural (str | None): Natural audio of the utterance; None if there is none.
    """

    system: str
    utterance: str
    wav: str
    natural: str | None

    @property
    def fingerprint(self) -> str:
        """Changes with either file."""
        return fingerprint_files(self.wav, self.natural or self.wav)


def measure_set(files: SetFiles, tables: SetTables, nj: int) -> Signal:
    """Measure all audio of a set that was not measured before.

    Args:
        files (SetFiles): Where the journals go.
        tables (SetTables): Audio.
        nj (int): Processes.

    Raises:
        OSError: A journal cannot be written.
        RuntimeError: A process was ended from outside, e.g. for want of memory.
    """
    journals = {
        system: MeasureJournal(files.work_dir(system) / JOURNAL, METHOD)
        for system in SYSTEMS
    }
    found: Signal = {system: {} for system in SYSTEMS}
    todo: list[tuple[AudioTask, str]] = []
    for task in _list_tasks(tables):
        fingerprint = task.fingerprint
        known = journals[task.system].find(task.utterance, fingerprint)
        if known is None:
            todo.append((task, fingerprint))
        else:
            found[task.system][task.utterance] = Measured(**known)
    countdown = Countdown("measuring audio", len(todo))
    results = _run_tasks([task for task, _ in todo], nj)
    for (task, fingerprint), measured in zip(todo, results, strict=True):
        fields = dataclasses.asdict(measured)
        journals[task.system].add(task.utterance, fingerprint, fields)
        found[task.system][task.utterance] = measured
        countdown.update()
    return found


def measure_task(task: AudioTask) -> Measured:
    """Measure one wav; see `measure_utterance`."""
    natural = None if task.natural is None else Path(task.natural)
    return measure_utterance(natural, Path(task.wav), task.system == NATURAL)


def _list_tasks(tables: SetTables) -> Iterator[AudioTask]:
    natural = tables.systems[NATURAL].wavs
    for system, audio in tables.systems.items():
        for utt_id, wav in audio.wavs.items():
            yield AudioTask(system, utt_id, wav, natural.get(utt_id))


def _run_tasks(tasks: list[AudioTask], nj: int) -> Iterator[Measured]:
    """Give results in the order of tasks; one process needs no pool."""
    if nj == 1 or len(tasks) <= 1:
        yield from map(measure_task, tasks)
        return
    # spawn: threads of numpy or torch in this process must not be forked
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(nj, len(tasks)), mp_context=context) as pool:
        yield from pool.map(measure_task, tasks)


def measure_utterance(natural: Path | None, path: Path, is_natural: bool) -> Measured:
    """Measure an utterance alone and, if it is not natural, against natural speech.

    Args:
        natural (Path | None): Natural audio of the same text; None if there is none.
        path (Path): Audio to measure.
        is_natural (bool): It is the natural audio itself: nothing to compare.

    Returns:
        Measured: Each measure that the system has is in ``values`` or ``reasons``.
    """
    try:
        waveform, fs = _load_mono(path)
    except AudioError as err:
        wanted = set(SIGNAL) - (set(AGAINST_NATURAL) if is_natural else set())
        return Measured(reasons=dict.fromkeys(sorted(wanted), str(err)), fault=str(err))
    values, reasons = measure_alone(waveform, fs), {}
    if not is_natural:
        compared, reasons = _compare(natural, waveform, fs)
        values |= compared
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    level_dbfs = 10 * float(np.log10(max(power, _LEAST_POWER)))
    return Measured(values, reasons, len(waveform) / fs, level_dbfs)


def _compare(
    natural: Path | None, waveform: np.ndarray, fs: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Compare at the lower of the two rates; values and reasons."""
    if natural is None:
        return {}, dict.fromkeys(AGAINST_NATURAL, "no natural audio to compare with")
    try:
        reference, reference_fs = _load_mono(natural)
    except AudioError as err:
        return {}, dict.fromkeys(AGAINST_NATURAL, f"natural audio: {err}")
    rate = min(fs, reference_fs)
    reference = resample(reference, reference_fs, rate)
    comparison = measure_against(reference, resample(waveform, fs, rate), rate)
    return comparison.values, comparison.reasons


def _load_mono(path: Path) -> tuple[np.ndarray, int]:
    waveform, fs = load_audio(path)
    return to_mono(waveform), fs
