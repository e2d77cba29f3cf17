"""The two parts of the realtime model as generation runs them: what both have read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.models.reading import Reading, merge_readings
from espnet_vibevoice.models.sequence import SPEECH_TYPE, TEXT_TYPE

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel
    from espnet_vibevoice.models.voice_prompt import VoicePrompt


@dataclass
class Branch:
    """What a branch has read so far, for one utterance or a batch.

    Args:
        lower (Reading): What the lower part has read.
        upper (Reading): What the upper part has read.
    """

    lower: Reading = field(default_factory=Reading)
    upper: Reading = field(default_factory=Reading)

    @property
    def hidden(self) -> Tensor | None:
        """Upper hidden state of each row's last position (B, H); None before any."""
        return self.upper.hidden

    def count_positions(self) -> list[int]:
        """Positions that each row has read in the upper part; [0] before any."""
        return self.upper.count_positions()

    def feed_text(
        self, model: "RealtimeModel", ids: Tensor, mask: Tensor | None = None
    ) -> None:
        """Read text tokens.

        Args:
            model (RealtimeModel): The model.
            ids (Tensor): Token ids, right-padded with any valid id (B, T).
            mask (Tensor | None): True for real tokens (B, T); None if all are. Rows
                that have read nothing yet need one at least.
        """
        lower = self._read_text(model, ids, mask)
        self._feed(model, lower + model.tts_input_types.weight[TEXT_TYPE], mask)

    def feed_frame(self, model: "RealtimeModel", vector: Tensor) -> None:
        """Read one frame.

        Args:
            model (RealtimeModel): The model.
            vector (Tensor): Connector's output (B, 1, H).
        """
        self._feed(model, vector + model.tts_input_types.weight[SPEECH_TYPE], None)

    def feed_prompt(
        self,
        model: "RealtimeModel",
        frame_vectors: Tensor,
        ids: Tensor,
        text_type: int = SPEECH_TYPE,
    ) -> None:
        """Read a voice prompt: its frames, then its transcript.

        Args:
            model (RealtimeModel): The model.
            frame_vectors (Tensor): Connector's outputs (1, S, H).
            ids (Tensor): Token ids of the transcript (1, N).
            text_type (int): Type of the transcript's positions.
        """
        types = model.tts_input_types.weight
        lower = self._read_text(model, ids, None)
        inputs = [frame_vectors + types[SPEECH_TYPE], lower + types[text_type]]
        self._feed(model, torch.cat(inputs, dim=1), None)

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all rows but some.

        Args:
            rows (Tensor): Indices of those that stay, int64 (B_new,).
        """
        self.lower.keep_rows(rows)
        self.upper.keep_rows(rows)

    def _read_text(
        self, model: "RealtimeModel", ids: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Run the lower part on new tokens (B, T) -> (B, T, H)."""
        part = model.language_model
        return self.lower.feed(part, part.embed_tokens(ids), mask)

    def _feed(
        self, model: "RealtimeModel", inputs: Tensor, mask: Tensor | None
    ) -> None:
        """Run the upper part on new positions (B, T, H)."""
        self.upper.feed(model.tts_language_model, inputs, mask)


@torch.no_grad()
def start_branches(
    model: "RealtimeModel", prompt: "VoicePrompt | None" = None
) -> tuple[Branch, Branch]:
    """Make the branches of one utterance.

    Args:
        model (RealtimeModel): The model.
        prompt (VoicePrompt | None): Voice to speak with.

    Returns:
        tuple[Branch, Branch]: The branch that will read the text, and the negative
            one, which has read the negative prompt.

    Raises:
        RuntimeError: If the model does not know its negative prompt.
        ValueError: If the voice prompt is that of a model of other sizes.
    """
    if prompt is not None:
        return prompt.fit(model).to_branches()
    negative = Branch()
    device = model.tts_input_types.weight.device
    ids = torch.tensor([[model.get_negative_prompt_id()]], device=device)
    negative.feed_text(model, ids)
    return Branch(), negative


def start_batch(
    model: "RealtimeModel", prompts: "Sequence[VoicePrompt | None]"
) -> tuple[Branch, Branch]:
    """Make the branches of a batch, see `start_branches`.

    Args:
        model (RealtimeModel): The model.
        prompts (Sequence[VoicePrompt | None]): Voice of each row (B,).

    Returns:
        tuple[Branch, Branch]: The branch that will read the texts and the negative
            one, both of B rows.
    """
    pairs = [start_branches(model, prompt) for prompt in prompts]
    return (
        merge_branches([positive for positive, _ in pairs]),
        merge_branches([negative for _, negative in pairs]),
    )


def merge_branches(branches: list[Branch]) -> Branch:
    """Put utterances into one batch; shorter caches are padded on the left.

    Args:
        branches (list[Branch]): Branches of one row each, at least one; they are not
            to be used afterwards.

    Returns:
        Branch: Branch of as many rows.
    """
    return Branch(
        merge_readings([branch.lower for branch in branches]),
        merge_readings([branch.upper for branch in branches]),
    )
