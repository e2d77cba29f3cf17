"""Scripts to the prompts of the 1.5B and 7B models, as ESPnet's text.

A line of ``text`` is a script: ``سلام`` is said by speaker 0, and
``Speaker 1: سلام. Speaker 2: درود.`` has two turns. Its ids are those of the whole
prompt, up to the token that opens speech, so that token counts are positions of the
language model and a decoded text needs nothing but its voices.
"""

import re
from collections.abc import Sequence

from espnet_vibevoice.models.multispeaker_script import (
    MAX_SPEAKERS,
    SYSTEM_SENTENCE,
    MultispeakerScript,
    build_prompt_ids,
    parse_script,
)
from espnet_vibevoice.text.tokenizer import TextTokenizer

_TURN = re.compile(r"^ Speaker (\d+):", re.MULTILINE)


class ScriptTokenizer(TextTokenizer):
    """A base's tokenizer that encodes a script as the whole prompt."""

    def encode(self, text: str, voice_frames: Sequence[int] = ()) -> list[int]:
        """Encode the prompt of one script.

        Args:
            text (str): A script, see `multispeaker_script.parse_script`.
            voice_frames (Sequence[int]): Frames of each speaker's voice, in the order
                of their ids; empty for no voices.

        Returns:
            list[int]: Token ids of the prompt.

        Raises:
            ValueError: If the script or a turn is empty, a turn has neither letters
                nor digits, there are too many speakers, or a speaker has no voice
                while others have.
        """
        script = parse_script(text)
        for line in script.lines:
            if not self.is_speakable(line):
                raise ValueError(
                    f"text {line!r} has neither letters nor digits: there is nothing "
                    "to speak. Drop the utterance or give a text."
                )
        return build_prompt_ids(self, script, voice_frames).ids.tolist()

    def count_spoken(self, text: str) -> int:
        """Count the tokens of the turns, see `TextTokenizer.count_spoken`."""
        return self.count_script_tokens(self.encode(text))

    def count_speakers(self, ids: Sequence[int]) -> int:
        """Count the voices that a prompt without voices needs.

        Args:
            ids (Sequence[int]): What `encode` made.
        """
        behind = self.decode_part(ids[len(self.encode_part(SYSTEM_SENTENCE)) :])
        return max(int(number) for number in _TURN.findall(behind)) + 1

    def count_script_tokens(self, ids: Sequence[int]) -> int:
        """Count the tokens of a prompt that are its turns, tags included.

        Args:
            ids (Sequence[int]): What `encode` or `add_voices` made.
        """
        start = [*self.encode_part(" Text input:\n")]
        end = [*self.encode_part(" Speech output:\n")]
        places = [i for i in range(len(ids)) if list(ids[i : i + len(start)]) == start]
        return len(ids) - places[0] - len(start) - len(end) - 1

    def add_voices(self, ids: Sequence[int], voice_frames: Sequence[int]) -> list[int]:
        """Put the frames of voices into a prompt that was encoded without.

        Args:
            ids (Sequence[int]): What `encode` made without voices.
            voice_frames (Sequence[int]): Frames of each speaker's voice; those of
                speakers that the script lacks are left out.

        Returns:
            list[int]: Ids of the same prompt with voices.

        Raises:
            ValueError: If a speaker has no voice, or a voice no frame.
        """
        num_speakers = self.count_speakers(ids)
        if len(voice_frames) < num_speakers:
            raise ValueError(
                f"the text has {num_speakers} speakers, but there are "
                f"{len(voice_frames)} voices: give each speaker a voice, in the order "
                "of their numbers, or none"
            )
        assert num_speakers <= MAX_SPEAKERS, num_speakers
        speakers = tuple(range(num_speakers))
        any_script = MultispeakerScript(speakers, ("-",) * num_speakers)
        with_voices = build_prompt_ids(self, any_script, voice_frames[:num_speakers])
        without = build_prompt_ids(self, any_script)
        added = len(with_voices.ids) - len(without.ids)
        place = len(self.encode_part(SYSTEM_SENTENCE))
        voices = with_voices.ids[place : place + added].tolist()
        return [*ids[:place], *voices, *ids[place:]]
