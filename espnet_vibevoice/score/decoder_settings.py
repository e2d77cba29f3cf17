"""How texts are decoded, and which seed each of them has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from espnet_vibevoice.models.batch import derive_seed


@dataclass(frozen=True, kw_only=True)
class DecoderSettings:
    """How texts are decoded.

    Args:
        batch_size (int): Texts side by side.
        seed (int): Seed of the noise.
        always_fix_seed (bool): Whether each utterance has just this seed, as ESPnet
            understands it; else one that follows from it and from the utterance's id.
        voice_prompt (str | Sequence[str] | None): Voice in place of that of
            ``tts_conf``.
        options (Mapping): Settings of generation that overrule ``tts_conf``.
        num_timed (int): Utterances at the beginning whose first audio is timed.

    Raises:
        ValueError: If a number is out of range.
    """

    batch_size: int = 1
    seed: int = 0
    always_fix_seed: bool = True
    voice_prompt: str | Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    num_timed: int = 8

    def __post_init__(self) -> None:
        """Check before a model is loaded."""
        if self.batch_size < 1:
            raise ValueError(f"--batch_size {self.batch_size}: give 1 or more.")
        if self.num_timed < 0:
            raise ValueError(f"--num_timed {self.num_timed}: give 0 or more.")

    def find_seed(self, utt_id: str) -> int:
        """Find the seed of an utterance's noise.

        With ``always_fix_seed`` it is what ``inference`` of a model draws after ESPnet
        has seeded torch.

        Args:
            utt_id (str): Utterance id.
        """
        seed = self.seed
        if not self.always_fix_seed:
            seed = derive_seed("decoding", utt_id, self.seed)
        generator = torch.Generator().manual_seed(seed)
        return int(torch.randint(2**62, (1,), generator=generator))
