"""Measures of the signal for all audio of a set: several processes, nothing twice.

Every wav is measured alone and against the natural audio of its utterance. What was
measured before is taken from a journal beside the hypotheses of its system.
"""

import dataclasses
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.score.columns import NATURAL, SYSTEMS
from espnet_vibevoice.score.countdown import Countdown
from espnet_vibevoice.score.measure_journal import (
    METHOD,
    MeasureJournal,
    fingerprint_files,
)
from espnet_vibevoice.score.measuring import Measured, measure_utterance
from espnet_vibevoice.score.set_files import SetFiles, SetTables

JOURNAL = "acoustics.jsonl"
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
    """Measure one wav; see `measuring.measure_utterance`."""
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
