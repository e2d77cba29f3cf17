"""Which utterance lends its voice to which: the table ``utt2prompt`` of a set.

A voice prompt in training is another utterance of the same speaker with its transcript.
A speaker's utterances are put into a random circle, and each one is prompted by the
next, so that all serve equally often. Where a speaker has one utterance only, the
table names the utterance itself and a piece of it is the prompt: not more than half, so
that most of what is to be said has not been heard, and without a transcript, because
nobody knows which words are in the piece. A dialogue has a prompt for each speaker, in
the order of their numbers; nobody but ``utt2prompt`` can tell them:

    dialogue1 fa_f1_0001 fa_m1_0007
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from espnet_vibevoice.data.kaldi import describe_ids, invert_utt2spk, read_table

logger = logging.getLogger(__name__)


def find_prompts(
    text: str | Path,
    frames: Mapping[str, int],
    max_frames: int,
    seed: int = 0,
    num_speakers: Mapping[str, int] | None = None,
) -> dict[str, str]:
    """Find the prompt of each utterance from the files beside its text.

    A table ``utt2prompt`` there, made by whoever prepared the data, goes before our
    choice. Utterances that it lacks, or whose prompt was filtered away, get ours.

    Args:
        text (str | Path): ``text`` of a data directory, with ``utt2spk`` beside it.
        frames (Mapping): Latent frames of each utterance; may be incomplete.
        max_frames (int): Longest prompt in frames.
        seed (int): Seed of the choice.
        num_speakers (Mapping | None): Speakers of each utterance; None: one each.

    Returns:
        dict[str, str]: ``utt2prompt`` in the order of ``text``; the prompts of a
            dialogue are separated by spaces.

    Raises:
        ValueError: If ``utt2spk`` lacks an utterance, or ``utt2prompt`` a dialogue.
    """
    utterances = read_table(text)
    folder = Path(text).parent
    utt2spk = _read_speakers(folder, utterances)
    wanted = dict.fromkeys(utterances, 1) | dict(num_speakers or {})
    for utt_id in [u for u in utt2spk if wanted[u] > 1]:
        utt2spk[utt_id] = f"{utt_id} "  # nobody's: a dialogue is no voice
    table = choose_prompts(utt2spk, frames, max_frames, seed)
    given: dict[str, str] = {}
    if (folder / "utt2prompt").is_file():
        given = read_table(folder / "utt2prompt")
    usable = {
        utt_id: " ".join(prompts.split())
        for utt_id, prompts in given.items()
        if utt_id in table and _is_usable(prompts, table, wanted[utt_id])
    }
    replaced = table.keys() - usable.keys()
    _refuse_dialogues(folder, [u for u in table if wanted[u] > 1 and u in replaced])
    if given and replaced:
        logger.warning(
            "%s/utt2prompt names no usable prompt for %s: another utterance of the "
            "speaker is taken",
            folder,
            describe_ids(replaced),
        )
    table |= usable
    own = sum(utt_id == prompt for utt_id, prompt in table.items())
    logger.info(
        "%s: %d voice prompts, %d of them pieces of the utterance itself",
        folder,
        len(table),
        own,
    )
    return table


def _is_usable(prompts: str, known: Collection[str], num_speakers: int) -> bool:
    """Tell whether prompts are utterances of the set, one for each speaker."""
    names = prompts.split()
    return len(names) == num_speakers and all(name in known for name in names)


def _refuse_dialogues(folder: Path, utt_ids: Collection[str]) -> None:
    """Refuse dialogues whose speakers' voices nobody knows."""
    if utt_ids:
        raise ValueError(
            f"{folder}/utt2prompt: no prompt for each speaker of the dialogues "
            f"{describe_ids(utt_ids)}. Name an utterance of the set for each speaker, "
            "in the order of their numbers ('dialogue1 utt_a utt_b'), or train without "
            "voices: tts_conf voice_prompt_drop_rate=1"
        )


def _read_speakers(folder: Path, utterances: Mapping[str, str]) -> dict[str, str]:
    """Read the speaker of each utterance; without a table each one is its own."""
    path = folder / "utt2spk"
    if not path.is_file():
        logger.warning(
            "%s is missing, so nobody knows whose voice is whose: each utterance is "
            "prompted by a piece of itself",
            path,
        )
        return {utt_id: utt_id for utt_id in utterances}
    utt2spk = read_table(path)
    missing = utterances.keys() - utt2spk.keys()
    if missing:
        raise ValueError(
            f"{path} has no speaker for {describe_ids(missing)}: mend the data "
            "directory (bin/fix_data_dir)"
        )
    return {utt_id: utt2spk[utt_id] for utt_id in utterances}


def choose_prompts(
    utt2spk: Mapping[str, str],
    frames: Mapping[str, int],
    max_frames: int,
    seed: int = 0,
) -> dict[str, str]:
    """Choose the prompt of each utterance.

    Utterances longer than a prompt may be are chosen only where the speaker has no
    other; they will be cut.

    Args:
        utt2spk (Mapping): Speaker of each utterance.
        frames (Mapping): Latent frames of each; unknown ones count as short.
        max_frames (int): Longest prompt in frames.
        seed (int): Seed of the circles; a speaker's circle depends on nothing else.

    Returns:
        dict[str, str]: ``utt2prompt`` in the order of ``utt2spk``.
    """
    chosen: dict[str, str] = {}
    for speaker, members in invert_utt2spk(utt2spk).items():
        generator = np.random.default_rng([seed, *speaker.encode()])
        circle = [str(utt_id) for utt_id in generator.permutation(members.split())]
        following, fitting = circle[0], None
        for utt_id in reversed(circle + circle):  # second time: all is known
            is_other = fitting is not None and fitting != utt_id
            chosen[utt_id] = fitting if is_other else following
            following = utt_id
            if frames.get(utt_id, 0) <= max_frames:
                fitting = utt_id
    return {utt_id: chosen[utt_id] for utt_id in utt2spk}


def cut_prompt(
    num_frames: int, max_frames: int, *, is_own: bool, place: float = 0.0
) -> tuple[slice, bool]:
    """Say which frames of an utterance make the prompt.

    Args:
        num_frames (int): Frames of the utterance.
        max_frames (int): Longest prompt in frames.
        is_own (bool): Whether the utterance prompts itself.
        place (float): Where a piece begins: 0 at the start, just below 1 as late as
            possible.

    Returns:
        tuple[slice, bool]: The frames, and whether they are all of the utterance, so
            that its transcript holds.
    """
    length = min(num_frames // 2 if is_own else num_frames, max_frames)
    begin = int(place * (num_frames - length + 1))
    return slice(begin, begin + length), length == num_frames
