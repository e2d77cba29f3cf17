"""Scripts and the prompt that the 1.5B and 7B models read.

The layout is the original processor's: a system sentence, the voices, the script, and
the token that opens speech. Pieces are tokenised one by one and joined, so a voice's
frames never merge with the text around them. From microsoft/VibeVoice,
vibevoice/processor/vibevoice_processor.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.models.multispeaker_config import CONTROL_TOKENS, SpeechTokens
from espnet_vibevoice.text.turns import SPEAKER_TAG

if TYPE_CHECKING:
    from espnet_vibevoice.text.tokenizer import TextTokenizer

MAX_SPEAKERS = 4
SYSTEM_SENTENCE = (
    " Transform the text provided by various speakers into speech output, utilizing "
    "the distinct voice of each respective speaker.\n"
)


@dataclass(frozen=True)
class MultispeakerScript:
    """Who says what, in order.

    Args:
        speakers (tuple[int, ...]): Speaker of each turn, counted from 0.
        lines (tuple[str, ...]): Text of each turn, without outer white space.
    """

    speakers: tuple[int, ...]
    lines: tuple[str, ...]

    @property
    def num_speakers(self) -> int:
        """Voices that the script needs: one for each id up to the highest."""
        return max(self.speakers) + 1


@dataclass(frozen=True)
class PromptLayout:
    """A prompt, up to the token that opens speech.

    Args:
        ids (Tensor): Token ids, int64 (T,).
        voice_mask (Tensor): True at the frames of the voices, bool (T,).
    """

    ids: Tensor
    voice_mask: Tensor


def find_speech_tokens(tokenizer: "TextTokenizer") -> SpeechTokens:
    """Look the control tokens up in a tokenizer.

    Args:
        tokenizer (TextTokenizer): Tokenizer of the base.

    Raises:
        ValueError: If it lacks one.
    """
    ids = {token: tokenizer.encode_part(token) for token in CONTROL_TOKENS}
    absent = [token for token, found in ids.items() if len(found) != 1]
    if absent:
        raise ValueError(
            f"{tokenizer.source}: the tokenizer has no {', '.join(absent)}, which "
            "control speech. Give a Qwen2.5 tokenizer, e.g. of Qwen/Qwen2.5-1.5B."
        )
    return SpeechTokens(*(ids[token][0] for token in CONTROL_TOKENS))


def parse_script(text: str) -> MultispeakerScript:
    r"""Read a script: turns ``Speaker N: ...``, or plain lines of one speaker.

    A turn starts at the head of a line, or inside a line that starts with a turn, as
    in the one-line texts of a Kaldi directory. Without any ``Speaker N:`` each line is
    a turn of speaker 0. If the lowest id is above 0, 1 is subtracted from every id.

    Args:
        text (str): The script; blank lines do not count.

    Returns:
        MultispeakerScript: The turns.

    Raises:
        ValueError: If there is no turn, a turn has no text, a line has no speaker
            while others have, or an id is above the number of voices.

    Example:
        >>> parse_script("Speaker 1: Hello.\nSpeaker 2: Good day.")
        MultispeakerScript(speakers=(0, 1), lines=('Hello.', 'Good day.'))
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("the script is empty: give a text, or lines 'Speaker N: ...'")
    tagged = [SPEAKER_TAG.match(line) is not None for line in lines]
    if not any(tagged):
        return MultispeakerScript((0,) * len(lines), tuple(lines))
    if not all(tagged):
        raise ValueError(
            f"line {tagged.index(False) + 1} of the script, "
            f"{lines[tagged.index(False)]!r}, has no 'Speaker N:' while others have: "
            "start every line with its speaker"
        )
    turns = [turn for line in lines for turn in _split_turns(line)]
    _check_turns(turns)
    shift = 1 if min(speaker for speaker, _ in turns) > 0 else 0
    speakers = tuple(speaker - shift for speaker, _ in turns)
    if max(speakers) >= MAX_SPEAKERS:
        raise ValueError(
            f"the script has speaker {max(speakers) + shift}: there can be "
            f"{MAX_SPEAKERS}, Speaker 0 to {MAX_SPEAKERS - 1} or Speaker 1 to "
            f"{MAX_SPEAKERS}. Number the speakers without gaps."
        )
    return MultispeakerScript(speakers, tuple(line for _, line in turns))


def build_prompt_ids(
    tokenizer: "TextTokenizer",
    script: MultispeakerScript,
    voice_frames: Sequence[int] = (),
) -> PromptLayout:
    """Lay out the prompt of a script.

    Args:
        tokenizer (TextTokenizer): Tokenizer of the base.
        script (MultispeakerScript): What is to be said.
        voice_frames (Sequence[int]): Frames of each speaker's voice, in the order of
            their ids; empty for no voices at all.

    Returns:
        PromptLayout: Its ids, ending in the token that opens speech.

    Raises:
        ValueError: If a speaker has no voice while others have, a voice has no frame,
            the text holds a control token, or the tokenizer lacks one.
    """
    tokens = find_speech_tokens(tokenizer)
    _check_voices(script, voice_frames)
    ids = tokenizer.encode_part(SYSTEM_SENTENCE)
    if voice_frames:
        ids += tokenizer.encode_part(" Voice input:\n")
    for index, frames in enumerate(voice_frames):
        ids += tokenizer.encode_part(f" Speaker {index}:")
        ids += [tokens.speech_start, *[tokens.speech_diffusion] * frames]
        ids += [tokens.speech_end, *tokenizer.encode_part("\n")]
    ids += tokenizer.encode_part(" Text input:\n")
    for speaker, line in zip(script.speakers, script.lines, strict=True):
        spoken = tokenizer.encode_part(f" Speaker {speaker}: {line}\n")
        if not set(spoken).isdisjoint(tokens.allowed):
            raise ValueError(
                f"the turn {line!r} holds one of the tokens that control speech "
                f"({', '.join(CONTROL_TOKENS)}): take it out of the text"
            )
        ids += spoken
    ids += [*tokenizer.encode_part(" Speech output:\n"), tokens.speech_start]
    made = torch.tensor(ids)
    return PromptLayout(made, made == tokens.speech_diffusion)


def _split_turns(line: str) -> list[tuple[int, str]]:
    """Split a line that starts with a turn into (id, text) of its turns."""
    tags = list(SPEAKER_TAG.finditer(line))
    ends = [*(tag.start() for tag in tags[1:]), len(line)]
    return [
        (int(tag[1]), line[tag.end() : end].strip())
        for tag, end in zip(tags, ends, strict=True)
    ]


def _check_turns(turns: Sequence[tuple[int, str]]) -> None:
    """Refuse turns without text."""
    for number, (speaker, line) in enumerate(turns, start=1):
        if not line:
            raise ValueError(
                f"turn {number} of the script, 'Speaker {speaker}:', has no text: give "
                "it one, or take the turn out"
            )


def _check_voices(script: MultispeakerScript, voice_frames: Sequence[int]) -> None:
    """Refuse voices that do not fit the script."""
    if voice_frames and len(voice_frames) < script.num_speakers:
        raise ValueError(
            f"the script has speakers up to {script.num_speakers - 1}, counted from 0, "
            f"but there are {len(voice_frames)} voices: give every speaker a voice, or "
            "none"
        )
    if len(voice_frames) > MAX_SPEAKERS:
        raise ValueError(
            f"{len(voice_frames)} voices: there can be {MAX_SPEAKERS} at most"
        )
    empty = [index for index, frames in enumerate(voice_frames) if frames < 1]
    if empty:
        raise ValueError(
            f"the voice of speaker {empty[0]} has {voice_frames[empty[0]]} frames, "
            "wanted at least 1: give a longer recording"
        )
