"""What a branch of generation has read: keys, values and the last hidden state.

A batch shares one cache. Its rows may have read unequally much: a mask tells which
cached positions of a row are real, the others change nothing, and a real position is
numbered by the real ones before it, as if its row were alone. While all is real there
is no mask, and the same kernels run as for one utterance.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache, Qwen2Model

from espnet_vibevoice.models.sequence import SPEECH_TYPE, TEXT_TYPE

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel
    from espnet_vibevoice.models.voice_prompt import VoicePrompt


@dataclass
class Branch:
    """What a branch has read so far, for one utterance or a batch.

    Args:
        text_cache (DynamicCache): Keys and values of the lower part.
        cache (DynamicCache): Keys and values of the upper part.
        hidden (Tensor | None): Hidden state of each row's last position (B, H); None
            before anything is read.
        text_mask (Tensor | None): True for real positions of ``text_cache`` (B, T);
            None if all are.
        mask (Tensor | None): The same of ``cache``.
    """

    text_cache: DynamicCache = field(default_factory=DynamicCache)
    cache: DynamicCache = field(default_factory=DynamicCache)
    hidden: Tensor | None = None
    text_mask: Tensor | None = None
    mask: Tensor | None = None

    def count_positions(self) -> list[int]:
        """Positions that each row has read in the upper part; [0] before any."""
        if self.mask is not None:
            return self.mask.sum(1).tolist()
        batch = 1 if self.hidden is None else len(self.hidden)
        return [self.cache.get_seq_length()] * batch

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
        self.text_cache.batch_select_indices(rows)
        self.cache.batch_select_indices(rows)
        self.hidden = None if self.hidden is None else self.hidden[rows]
        self.text_mask = None if self.text_mask is None else self.text_mask[rows]
        self.mask = None if self.mask is None else self.mask[rows]

    def _read_text(
        self, model: "RealtimeModel", ids: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Run the lower part on new tokens (B, T) -> (B, T, H)."""
        hidden, self.text_mask = _run_part(
            model.language_model,
            model.language_model.embed_tokens(ids),
            self.text_cache,
            self.text_mask,
            mask,
        )
        return hidden

    def _feed(
        self, model: "RealtimeModel", inputs: Tensor, mask: Tensor | None
    ) -> None:
        """Run the upper part on new positions (B, T, H)."""
        hidden, self.mask = _run_part(
            model.tts_language_model, inputs, self.cache, self.mask, mask
        )
        if mask is None:
            self.hidden = hidden[:, -1]
            return
        counts = mask.sum(1)
        last = (counts - 1).clamp(min=0)[:, None, None].expand(-1, 1, hidden.shape[2])
        newest = hidden.gather(1, last)[:, 0]  # (B, T, H) -> (B, H)
        before = newest if self.hidden is None else self.hidden
        self.hidden = torch.where(counts[:, None] > 0, newest, before)


def _run_part(
    part: Qwen2Model,
    inputs: Tensor,
    cache: DynamicCache,
    mask: Tensor | None,
    new_mask: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Run one part on new positions and extend its cache.

    Args:
        part (Qwen2Model): Lower or upper part.
        inputs (Tensor): Vectors of new positions (B, T, H).
        cache (DynamicCache): Extended in place.
        mask (Tensor | None): Real ones of the cached positions (B, T_old).
        new_mask (Tensor | None): Real ones of the new positions (B, T).

    Returns:
        tuple[Tensor, Tensor | None]: Hidden states (B, T, H), and the mask with the
            new positions (B, T_old + T); None if all are real.
    """
    positions = None
    if mask is not None or new_mask is not None:
        batch, num_new = inputs.shape[:2]
        if mask is None:
            size = (batch, cache.get_seq_length())
            mask = torch.ones(size, dtype=torch.bool, device=inputs.device)
        if new_mask is None:
            size = (batch, num_new)
            new_mask = torch.ones(size, dtype=torch.bool, device=inputs.device)
        positions = mask.sum(1, keepdim=True) + new_mask.cumsum(1) - 1
        positions = positions.clamp(min=0)
        mask = torch.cat([mask, new_mask], dim=1)
    output = part(
        inputs_embeds=inputs,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
    )
    return output.last_hidden_state, mask


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
    if len(branches) == 1:
        return branches[0]
    assert all(b.mask is None and b.text_mask is None for b in branches)
    text_cache, text_mask = _merge_caches([branch.text_cache for branch in branches])
    cache, mask = _merge_caches([branch.cache for branch in branches])
    known = [branch.hidden for branch in branches if branch.hidden is not None]
    hidden = None
    if known:
        nothing = torch.zeros_like(known[0])
        rows = [nothing if b.hidden is None else b.hidden for b in branches]
        hidden = torch.cat(rows)
    return Branch(text_cache, cache, hidden, text_mask, mask)


def _merge_caches(caches: list[DynamicCache]) -> tuple[DynamicCache, Tensor | None]:
    """Merge caches of one row each; also return the mask of real positions."""
    merged = DynamicCache()
    lengths = [cache.get_seq_length() for cache in caches]
    longest = max(lengths)
    if longest == 0:
        return merged, None
    fullest = caches[lengths.index(longest)]
    for index, layer in enumerate(fullest.layers):
        keys, values = [], []
        for cache, length in zip(caches, lengths, strict=True):
            own = cache.layers[index] if length else layer
            keys.append(_fit_length(own.keys, length, longest))
            values.append(_fit_length(own.values, length, longest))
        merged.update(torch.cat(keys), torch.cat(values), index)
    device = fullest.layers[0].keys.device
    if min(lengths) == longest:
        return merged, None
    padding = longest - torch.tensor(lengths, device=device)
    return merged, torch.arange(longest, device=device) >= padding[:, None]


def _fit_length(vectors: Tensor, length: int, longest: int) -> Tensor:
    """Keep ``length`` vectors of (1, heads, T, size) and pad with zeros on the left."""
    kept = vectors[:, :, vectors.shape[2] - length :]
    return torch.nn.functional.pad(kept, (0, 0, longest - length, 0))
