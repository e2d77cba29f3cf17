"""The work of ``bin/synthesize``: texts one after the other, or some side by side."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from espnet_vibevoice.synthesis.output import Output, Task
from espnet_vibevoice.synthesis.speaker import Speaker
from espnet_vibevoice.synthesis.stopwatch import Stopwatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One piece of one text.

    Args:
        number (int): Number of the text, from 1.
        piece (Any): What `Speaker.prepare` made.
        seed (int): Seed of its noise.
        is_last (bool): Whether it is the last of its text.
    """

    number: int
    piece: Any
    seed: int
    is_last: bool


def synthesize(speaker: Speaker, texts: Iterable[str], task: Task) -> int:
    """Speak texts and write their audio.

    Args:
        speaker (Speaker): The model.
        texts (Iterable[str]): The texts. A sequence is checked as a whole before
            anything is spoken; of an iterator no more is taken than is spoken next.
        task (Task): How, and where to.

    Returns:
        int: Number of texts.

    Raises:
        OSError: If audio cannot be written.
        RuntimeError: If the model makes values that are not finite.
        ValueError: If a text cannot be spoken, or there is none.
    """
    jobs: Iterable[Job] = make_jobs(speaker, texts, task.seed)
    if isinstance(texts, Sequence):
        jobs = list(jobs)
    total, number = Stopwatch(speaker.sampling_rate), 0
    with Output(task, speaker.sampling_rate) as output:
        for group in take_groups(jobs, task.batch_size):
            watch = Stopwatch(speaker.sampling_rate)
            for job, waveform in speak_group(speaker, group, task.is_stream, watch):
                if job.number != number:
                    output.begin(job.number)
                number = job.number
                output.write(waveform)
            if group[-1].is_last:
                output.end()
            total.join(watch)
            logger.info("%s: %s", _name_group(group), watch.describe())
        if number == 0:
            raise ValueError("there is no text to speak: every line is blank.")
    logger.info("%d texts: %s", number, total.describe())
    return number


def make_jobs(speaker: Speaker, texts: Iterable[str], seed: int) -> Iterator[Job]:
    """Prepare texts one by one; blank ones do not count.

    Args:
        speaker (Speaker): The model.
        texts (Iterable[str]): The texts.
        seed (int): Seed of the first piece.

    Yields:
        Job: Their pieces.

    Raises:
        ValueError: If a text cannot be spoken; the message has its number.
    """
    seeds = itertools.count(seed)
    spoken = (text for text in texts if text.strip())
    for number, text in enumerate(spoken, start=1):
        try:
            pieces = speaker.prepare(text)
        except ValueError as err:
            raise ValueError(f"text {number}: {err}") from err
        for place, piece in enumerate(pieces, start=1):
            yield Job(number, piece, next(seeds), place == len(pieces))


def take_groups(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    """Take jobs in groups.

    Args:
        jobs (Iterable[Job]): The jobs.
        size (int): Most jobs in a group.

    Yields:
        list[Job]: The next group, at least one.
    """
    waiting = iter(jobs)
    while group := list(itertools.islice(waiting, size)):
        yield group


def speak_group(
    speaker: Speaker, group: Sequence[Job], is_stream: bool, watch: Stopwatch
) -> Iterator[tuple[Job, Tensor]]:
    """Speak some jobs.

    Args:
        speaker (Speaker): The model.
        group (Sequence[Job]): The jobs; several are spoken side by side.
        is_stream (bool): Whether to hand out audio while it is made.
        watch (Stopwatch): Is told of all audio as soon as it is there.

    Yields:
        tuple[Job, Tensor]: Each job with its samples, or the next of them (T_wav,).
    """
    if len(group) > 1:
        pieces, seeds = [job.piece for job in group], [job.seed for job in group]
        for job, waveform in zip(group, speaker.speak(pieces, seeds), strict=True):
            watch.add(waveform)
            yield job, waveform
        return
    (job,) = group
    chunks = []
    for chunk in speaker.stream(job.piece, job.seed):
        watch.add(chunk)
        if is_stream:
            yield job, chunk
        else:
            chunks.append(chunk)
    if chunks:
        yield job, torch.cat(chunks)


def _name_group(group: Sequence[Job]) -> str:
    """Name the texts of a group."""
    first, last = group[0].number, group[-1].number
    return f"text {first}" if first == last else f"texts {first} to {last}"
