"""Token layout of the multi-speaker family, written a second time and plainly.

Pieces are encoded one by one and joined, as the original processor does.
"""

from dataclasses import dataclass, field

from multispeaker_settings import SPECIAL_TOKENS
from transformers import Qwen2Tokenizer

SYSTEM_TEXT = (
    " Transform the text provided by various speakers into speech output, utilizing "
    "the distinct voice of each respective speaker.\n"
)
VOICES_TEXT, SCRIPT_TEXT, OUTPUT_TEXT = (
    " Voice input:\n",
    " Text input:\n",
    " Speech output:\n",
)


@dataclass
class Sequence:
    """Token ids with their kinds.

    Args:
        ids (list[int]): Token ids (T,).
        is_frame (list[bool]): Whether a position holds a frame (T,).
        is_target (list[bool]): Whether it holds a frame to learn (T,).
    """

    ids: list[int] = field(default_factory=list)
    is_frame: list[bool] = field(default_factory=list)
    is_target: list[bool] = field(default_factory=list)

    def add(self, ids: list[int], is_frame: bool = False, is_target: bool = False):
        """Append ids of one kind."""
        self.ids += ids
        self.is_frame += [is_frame] * len(ids)
        self.is_target += [is_target] * len(ids)


class Processor:
    """Lays sequences out.

    Args:
        tokenizer (Qwen2Tokenizer): Tokenizer of the folder.

    Attributes:
        special_ids (dict[str, int]): Ids of the control tokens by name.
    """

    def __init__(self, tokenizer: Qwen2Tokenizer):
        self._tokenizer = tokenizer
        self.special_ids = {
            name: tokenizer.convert_tokens_to_ids(token)
            for name, token in SPECIAL_TOKENS.items()
        }

    def encode(self, text: str) -> list[int]:
        """Encode a piece of text."""
        return self._tokenizer.encode(text, add_special_tokens=False)

    def lay_out(self, script: str, voice_frames: list[int]) -> Sequence:
        """Lay the prompt of a script and its voices out."""
        lines = [
            line.removeprefix("Speaker ").split(":") for line in script.split("\n")
        ]
        shift = min(1, min(int(number) for number, _ in lines))
        sequence = Sequence()
        sequence.add(self.encode(SYSTEM_TEXT))
        if voice_frames:
            sequence.add(self.encode(VOICES_TEXT))
        for speaker, frames in enumerate(voice_frames):
            sequence.add(self.encode(f" Speaker {speaker}:"))
            self.add_speech(sequence, frames)
            sequence.add(self.encode("\n"))
        sequence.add(self.encode(SCRIPT_TEXT))
        for number, text in lines:
            sequence.add(self.encode(f" Speaker {int(number) - shift}:{text}\n"))
        sequence.add(self.encode(OUTPUT_TEXT))
        return sequence

    def add_speech(
        self, sequence: Sequence, num_frames: int, is_target: bool = False
    ) -> None:
        """Append frames between start and end of speech."""
        sequence.add([self.special_ids["speech_start_id"]])
        frames = [self.special_ids["speech_diffusion_id"]] * num_frames
        sequence.add(frames, is_frame=True, is_target=is_target)
        sequence.add([self.special_ids["speech_end_id"]])
