#!/usr/bin/env python3
"""Speak the sentences of mini_fa with espeak-ng.

Every utterance gets a process of its own and the same noise seed: espeak-ng keeps
state from one sentence to the next, so the same sentence would sound different after
another one. So the bytes depend neither on order nor on ``--nj`` or interruptions.

espeak-ng is under the GPL-3. Therefore this script, with ``espeak.py`` beside it, is
a program of its own that talks to the rest through files only: the package
``espnet_vibevoice`` never imports it, nor does it import ``espnet_vibevoice``.
"""

import argparse
import io
import math
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
import wave
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import espeak
import numpy as np
import soxr


@dataclass(frozen=True)
class Voice:
    """How a speaker sounds: espeak-ng variant, words a minute, pitch (0 to 100)."""

    variant: str
    rate: int
    pitch: int


SPEAKERS = {
    "fa_f1": Voice("fa+f2", rate=150, pitch=50),  # female, F0 about 195 Hz
    "fa_f2": Voice("fa+f5", rate=165, pitch=60),  # female, F0 about 230 Hz
    "fa_m1": Voice("fa+m3", rate=160, pitch=55),  # male, F0 about 110 Hz
    "fa_m2": Voice("fa+m1", rate=150, pitch=35),  # male, F0 about 85 Hz
}
SETS = ("train", "valid", "test")
SECOND_VOICE_EVERY = 5  # each fifth train sentence is spoken by two voices

OUTPUT_FS = 24000
LEVEL_DBFS = -25.0  # RMS of the whole file
MAX_PEAK = 0.95
EDGE_SEC = 0.1  # silence kept before and after the speech
SPEECH_THRESHOLD = 0.01  # share of the peak above which a sample is speech


@dataclass(frozen=True)
class Utterance:
    """One line of ``utterances.tsv``: all that decides the bytes of a wav."""

    utt_id: str
    set_name: str
    speaker: str
    variant: str
    rate: int
    pitch: int
    engine: str
    text: str

    def to_row(self) -> str:
        """Return the tab-separated line, without a newline."""
        return "\t".join(str(value) for value in astuple(self))


def plan_utterances(sentences_dir: Path, engine: str) -> list[Utterance]:
    """Decide who speaks which sentence.

    The voices take turns; each fifth train sentence is also spoken by the next
    voice. The number in an id is the line of the sentence.

    Args:
        sentences_dir (Path): Folder of ``train.txt``, ``valid.txt``, ``test.txt``.
        engine (str): Name and version of the synthesizer.

    Returns:
        list[Utterance]: Sorted by id.

    Raises:
        ValueError: If a line is empty or has a tab.
    """
    speakers = list(SPEAKERS)
    utterances = []
    for set_name in SETS:
        path = sentences_dir / f"{set_name}.txt"
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        for index, text in enumerate(lines):
            if not text.strip() or "\t" in text:
                raise ValueError(
                    f"{path}, line {index + 1}: got {text!r}, wanted a sentence "
                    "without tabs. Mend the line."
                )
            turns = [index]
            if set_name == "train" and index % SECOND_VOICE_EVERY == 0:
                turns.append(index + 1)
            for turn in turns:
                speaker = speakers[turn % len(speakers)]
                utt_id = f"{speaker}_{set_name}_{index + 1:04d}"
                voice = astuple(SPEAKERS[speaker])
                utterances.append(
                    Utterance(utt_id, set_name, speaker, *voice, engine, text)
                )
    return sorted(utterances, key=lambda utterance: utterance.utt_id)


def finish_audio(samples: np.ndarray, fs: int) -> np.ndarray:
    """Resample to 24 kHz, cut the edges to 0.1 s of silence, set the level.

    Args:
        samples (np.ndarray): What espeak-ng made (T_wav,), int16.
        fs (int): Its sampling rate in Hz.

    Returns:
        np.ndarray: Samples (T_out,), int16, at ``OUTPUT_FS``; -25 dBFS RMS, or
            less where the peak would pass 0.95.

    Raises:
        RuntimeError: If there is no speech in the samples.
    """
    audio = soxr.resample(samples.astype(np.float64) / 32768, fs, OUTPUT_FS)
    peak = np.abs(audio).max(initial=0.0)
    if peak == 0.0:
        raise RuntimeError("espeak-ng returned silence for this text")
    speech = np.flatnonzero(np.abs(audio) > SPEECH_THRESHOLD * peak)
    edge = round(EDGE_SEC * OUTPUT_FS)
    # Zeros first, because espeak-ng leaves less than 0.1 s before the first sound.
    audio = np.pad(audio, edge)[speech[0] : speech[-1] + 1 + 2 * edge]
    rms = math.sqrt(np.mean(audio**2))
    gain = min(10 ** (LEVEL_DBFS / 20) / rms, MAX_PEAK / np.abs(audio).max())
    return np.round(audio * gain * 32767).astype("<i2")


def wav_is_whole(path: Path) -> bool:
    """Tell whether a wav of ours is there and as long as its header says."""
    try:
        with wave.open(str(path), "rb") as reader:
            shape = (
                reader.getnchannels(),
                reader.getsampwidth(),
                reader.getframerate(),
            )
            data_bytes = 2 * reader.getnframes()
    except (FileNotFoundError, EOFError, wave.Error):
        return False
    header_bytes = 44
    is_complete = path.stat().st_size == header_bytes + data_bytes
    return shape == (1, 2, OUTPUT_FS) and data_bytes > 0 and is_complete


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and move it into place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def synthesize(utterance: Utterance, wav_dir: Path) -> None:
    """Speak one utterance and write its wav: 24 kHz, mono, 16 bit."""
    voice = (utterance.variant, utterance.rate, utterance.pitch)
    audio = finish_audio(*espeak.speak(utterance.text, *voice))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(OUTPUT_FS)
        writer.writeframes(audio.tobytes())
    write_whole(wav_dir / f"{utterance.utt_id}.wav", buffer.getvalue())


def keep_current(utterances: list[Utterance], out_dir: Path) -> list[Utterance]:
    """Delete wavs of another text or voice, note the plan, list what is missing.

    The wavs go before the new ``utterances.tsv`` comes, so that being killed in
    between costs time but never leaves a wav that does not say its text.

    Returns:
        list[Utterance]: Those without a whole wav.
    """
    table, wav_dir = out_dir / "utterances.tsv", out_dir / "wav"
    wav_dir.mkdir(parents=True, exist_ok=True)
    header = "\t".join(field.name for field in fields(Utterance))
    content = "".join(f"{row}\n" for row in [header, *(u.to_row() for u in utterances)])
    old = table.read_text(encoding="utf-8") if table.is_file() else ""
    old_rows = set(old.split("\n"))
    current = {f"{u.utt_id}.wav" for u in utterances if u.to_row() in old_rows}
    outdated = [path for path in wav_dir.iterdir() if path.name not in current]
    for path in [*outdated, *out_dir.glob(".*.tmp")]:
        path.unlink()
    if old != content:
        write_whole(table, content.encode("utf-8"))
    return [u for u in utterances if not wav_is_whole(wav_dir / f"{u.utt_id}.wav")]


def synthesize_all(utterances: list[Utterance], wav_dir: Path, nj: int) -> None:
    """Speak utterances, ``nj`` at a time, with the time left on standard error.

    Raises:
        RuntimeError: If a process fails; those already running are waited for.
    """
    context = multiprocessing.get_context("fork")
    waiting = utterances[::-1]
    running = {}
    start = reported = time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < nj:
                utterance = waiting.pop()
                process = context.Process(target=synthesize, args=(utterance, wav_dir))
                process.start()
                running[process.sentinel] = (process, utterance.utt_id)
            for sentinel in multiprocessing.connection.wait(list(running)):
                process, utt_id = running.pop(sentinel)
                process.join()
                if process.exitcode != 0:
                    raise RuntimeError(
                        f"{utt_id}: its process ended with status {process.exitcode}, "
                        "wanted 0; the reason stands above. Mend it and run again."
                    )
            done = len(utterances) - len(waiting) - len(running)
            now = time.monotonic()
            if done and (now - reported > 2 or done == len(utterances)):
                reported = now
                left_sec = (now - start) / done * (len(utterances) - done)
                progress = f"{done}/{len(utterances)} utterances"
                print(f"mini_fa: {progress}, {left_sec:.0f} s left", file=sys.stderr)
    finally:
        for process, _ in running.values():
            process.join()


def main() -> None:
    """Parse the options and bring the folder up to date."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", type=Path, default=Path("local/sentences"))
    parser.add_argument("--out", type=Path, default=Path("downloads/mini_fa"))
    parser.add_argument("--nj", type=int, default=1, help="processes at a time")
    args = parser.parse_args()
    if args.nj < 1:
        parser.error(f"argument --nj: got {args.nj}, wanted 1 or more")
    utterances = plan_utterances(args.sentences, espeak.find_engine())
    missing = keep_current(utterances, args.out)
    synthesize_all(missing, args.out / "wav", args.nj)
    counts = f"{len(missing)} spoken, {len(utterances) - len(missing)} kept"
    print(f"mini_fa: {args.out}/wav: {counts}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as err:
        sys.exit(f"error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
