#!/usr/bin/env python3
"""Speak sentences in many voices, for a recogniser that knows more than four.

Training sentences are spoken several times: voice, rate and pitch of each take are
drawn from its sentence and number. Validation and test sentences are spoken by the
voices of the recipe's corpus as they are, the test also by voices that training lacks.

espeak-ng is under the GPL-3. Therefore this script, like those of ``../tts1/local``
that it uses, is a program of its own: the package ``espnet_vibevoice`` never imports
it, nor does it import ``espnet_vibevoice``.
"""

import argparse
import random
import sys
from dataclasses import astuple
from pathlib import Path

# Beside the recipe's folder, wherever that was copied or linked to.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tts1" / "local"))

import espeak  # noqa: E402
import synthesize  # noqa: E402
from synthesize import Utterance, Voice  # noqa: E402

VOICES = Path(__file__).resolve().with_name("voices.tsv")
SETS = ("train", "valid", "test")
ROLES = ("corpus", "train", "unseen")
RATE_RANGE = (0.85, 1.2)  # of the voice's own rate
PITCH_RANGE = (-12, 12)  # added to the voice's own pitch


def read_voices(path: Path) -> dict[str, dict[str, Voice]]:
    """Read the table of voices.

    Args:
        path (Path): Header, then speaker, espeak-ng variant, words a minute, pitch and
            role, parted by tabs.

    Returns:
        dict: Role (corpus, train, unseen) to speaker to voice.

    Raises:
        ValueError: If a line is not such a row, or a role has no voice.
    """
    voices: dict[str, dict[str, Voice]] = {role: {} for role in ROLES}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines[1:], start=2):
        try:
            speaker, variant, rate, pitch, role = line.split("\t")
            voices[role][speaker] = Voice(variant, int(rate), int(pitch))
        except (ValueError, KeyError) as err:
            raise ValueError(
                f"{path}, line {number}: got {line!r}, wanted speaker, variant, rate, "
                f"pitch and role ({', '.join(ROLES)}), parted by tabs. Mend the line."
            ) from err
    if missing := [role for role, members in voices.items() if not members]:
        raise ValueError(f"{path}: no voice is {', '.join(missing)}. Add one.")
    return voices


def read_sentences(path: Path) -> list[str]:
    """Read one sentence a line.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is empty or has a tab.
    """
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    for number, text in enumerate(lines, start=1):
        if not text.strip() or "\t" in text:
            raise ValueError(
                f"{path}, line {number}: got {text!r}, wanted a sentence without tabs. "
                "Mend the line."
            )
    return lines


def draw_voice(
    voices: list[tuple[str, Voice]], seed: int, line: int, take: int
) -> tuple[str, Voice]:
    """Draw speaker and voice of one take of a training sentence."""
    draws = random.Random(f"{seed} {line} {take}")
    speaker, voice = voices[(line * 5 + take * 3) % len(voices)]
    pitch = voice.pitch + draws.randint(*PITCH_RANGE)
    rate = round(voice.rate * draws.uniform(*RATE_RANGE))
    return speaker, Voice(voice.variant, rate, min(max(pitch, 0), 99))


def plan_training(
    lines: list[str],
    voices: list[tuple[str, Voice]],
    count: int,
    seed: int,
    engine: str,
) -> list[Utterance]:
    """Decide how the training sentences are spoken.

    Args:
        lines (list[str]): Sentences.
        voices (list): Speakers with their voices, to draw from.
        count (int): Utterances; all sentences are spoken once before one of them is
            spoken again, and those beyond the count are left out.
        seed (int): Of voices, rates and pitches.
        engine (str): Name and version of the synthesizer.

    Returns:
        list[Utterance]: First takes of all sentences, then second ones.
    """
    plan = []
    for index in range(count):
        take, line = divmod(index, len(lines))
        speaker, voice = draw_voice(voices, seed, line + 1, take + 1)
        utt_id = f"{speaker}_train_{line + 1:05d}_{take + 1}"
        row = (utt_id, "train", speaker, *astuple(voice), engine, lines[line])
        plan.append(Utterance(*row))
    return plan


def plan_set(
    set_name: str, lines: list[str], voices: dict[str, Voice], engine: str
) -> list[Utterance]:
    """Decide how validation or test sentences are spoken: by each voice as it is."""
    plan = []
    for line, text in enumerate(lines, start=1):
        for speaker, voice in voices.items():
            utt_id = f"{speaker}_{set_name}_{line:05d}"
            row = (utt_id, set_name, speaker, *astuple(voice), engine, text)
            plan.append(Utterance(*row))
    return plan


def plan_utterances(
    sentences: Path, count: int, seed: int, engine: str
) -> list[Utterance]:
    """Decide who speaks what.

    Args:
        sentences (Path): Folder of ``train.txt``, ``valid.txt`` and ``test.txt``.
        count (int): Training utterances.
        seed (int): Of the draws.
        engine (str): Name and version of the synthesizer.

    Returns:
        list[Utterance]: Sorted by id.
    """
    voices = read_voices(VOICES)
    corpus = voices["corpus"]
    lines = {name: read_sentences(sentences / f"{name}.txt") for name in SETS}
    # Those of the corpus come twice: they are what is scored most.
    drawn = [*corpus.items(), *corpus.items(), *voices["train"].items()]
    plan = plan_training(lines["train"], drawn, count, seed, engine)
    few = dict(list(corpus.items())[1::2])
    plan += plan_set("valid", lines["valid"], few, engine)
    plan += plan_set("test", lines["test"], corpus, engine)
    plan += plan_set("test_unseen", lines["test"], voices["unseen"], engine)
    return sorted(plan, key=lambda utterance: utterance.utt_id)


def main() -> None:
    """Parse the options and bring the folder up to date."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--utterances", type=int, default=4000, help="in training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nj", type=int, default=1, help="processes at a time")
    args = parser.parse_args()
    if args.nj < 1 or args.utterances < 1:
        shown = f"--nj {args.nj} --utterances {args.utterances}"
        parser.error(f"{shown}: wanted 1 or more of both")
    engine = espeak.find_engine()
    utterances = plan_utterances(args.sentences, args.utterances, args.seed, engine)
    missing = synthesize.keep_current(utterances, args.out)
    synthesize.synthesize_all(missing, args.out / "wav", args.nj)
    counts = f"{len(missing)} spoken, {len(utterances) - len(missing)} kept"
    print(f"mini_fa: {args.out}/wav: {counts}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as err:
        sys.exit(f"error: {err}")
    except KeyboardInterrupt:
        sys.exit(130)
