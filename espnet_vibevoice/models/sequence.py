"""Where text tokens and speech frames stand in the upper part's input.

Generation feeds ``text_window`` tokens, makes ``speech_window`` frames, and so on until
the text is out; then only frames follow. Training lays out the same sequence. A frame
is conditioned on the position before it. Text whose window would open only after the
last frame is left out: generation stops at the end of speech and never feeds it.

An unconditional row is nothing special: its text is the one negative-prompt token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

SPEECH_TYPE = 0
TEXT_TYPE = 1


@dataclass(frozen=True)
class SequenceLayout:
    """Layout of a right-padded batch.

    Args:
        source_index (Tensor): For each position its row in ``cat([text, speech])``
            along time, so frame j is row T_text + j (B, T_seq); 0 in padding.
        type_ids (Tensor): `TEXT_TYPE` or `SPEECH_TYPE` of each position (B, T_seq).
        lengths (Tensor): Positions of each row (B,).
        speech_positions (Tensor): Position of each frame (B, T_lat); 1 in padding.
        speech_mask (Tensor): True for real frames (B, T_lat).
        last_frame_mask (Tensor): True for the last real frame (B, T_lat): the label
            of the end-of-speech classifier.
        unfed_tokens (Tensor): Text tokens that no window reaches (B,).
    """

    source_index: Tensor
    type_ids: Tensor
    lengths: Tensor
    speech_positions: Tensor
    speech_mask: Tensor
    last_frame_mask: Tensor
    unfed_tokens: Tensor

    @property
    def condition_positions(self) -> Tensor:
        """Position whose hidden state conditions each frame (B, T_lat)."""
        return self.speech_positions - 1

    def arrange(self, text: Tensor, speech: Tensor) -> Tensor:
        """Bring text and speech vectors into the order of the sequence.

        Args:
            text (Tensor): Vectors of text tokens (B, T_text, H).
            speech (Tensor): Vectors of frames (B, T_lat, H).

        Returns:
            Tensor: Vectors of positions (B, T_seq, H).
        """
        return gather_positions(torch.cat([text, speech], dim=1), self.source_index)


def gather_positions(vectors: Tensor, positions: Tensor) -> Tensor:
    """Pick vectors along time.

    Args:
        vectors (Tensor): Vectors (B, T, H).
        positions (Tensor): Indices into T (B, T_out).

    Returns:
        Tensor: Vectors (B, T_out, H).
    """
    index = positions[..., None].expand(-1, -1, vectors.shape[-1])
    return vectors.gather(1, index)


def validate_windows(text_window: int, speech_window: int) -> None:
    """Refuse windows that hold nothing.

    Args:
        text_window (int): Tokens per window.
        speech_window (int): Frames per window.

    Raises:
        ValueError: If one is below 1.
    """
    if text_window < 1 or speech_window < 1:
        raise ValueError(
            f"text_window {text_window}, speech_window {speech_window}: both must be "
            "at least 1. The released base uses 5 and 6."
        )


def build_layout(
    text_lengths: Tensor,
    latents_lengths: Tensor,
    text_window: int,
    speech_window: int,
    *,
    max_text: int | None = None,
    max_frames: int | None = None,
) -> SequenceLayout:
    """Lay out a batch of (text, speech) pairs.

    Args:
        text_lengths (Tensor): Tokens of each row, at least 1 (B,).
        latents_lengths (Tensor): Frames of each row, at least 1 (B,).
        text_window (int): Tokens per window.
        speech_window (int): Frames per window.
        max_text (int | None): Padded size T_text; default the longest row.
        max_frames (int | None): Padded size T_lat; default the longest row.

    Returns:
        SequenceLayout: The layout.

    Raises:
        ValueError: If a window or a length is below 1.
    """
    validate_windows(text_window, speech_window)
    _validate_lengths(text_lengths, latents_lengths)
    max_text = int(text_lengths.max()) if max_text is None else max_text
    max_frames = int(latents_lengths.max()) if max_frames is None else max_frames
    device = text_lengths.device
    token = torch.arange(max_text, device=device)
    frame = torch.arange(max_frames, device=device)
    num_text, num_frames = text_lengths[:, None], latents_lengths[:, None]  # (B, 1)

    frames_before = token // text_window * speech_window  # (T_text,)
    fed = (token < num_text) & (frames_before < num_frames)  # (B, T_text)
    tokens_before = text_window * (frame // speech_window + 1)  # (T_lat,)
    tokens_before = torch.minimum(tokens_before, num_text)  # (B, T_lat)
    speech_mask = frame < num_frames
    speech_positions = torch.where(speech_mask, frame + tokens_before, 1)
    lengths = fed.sum(1) + latents_lengths
    source_index, type_ids = _fill_positions(
        fed, (token + frames_before).expand_as(fed), speech_mask, speech_positions
    )
    return SequenceLayout(
        source_index=source_index[:, : int(lengths.max())],
        type_ids=type_ids[:, : int(lengths.max())],
        lengths=lengths,
        speech_positions=speech_positions,
        speech_mask=speech_mask,
        last_frame_mask=frame == num_frames - 1,
        unfed_tokens=text_lengths - fed.sum(1),
    )


def _fill_positions(
    fed: Tensor, text_positions: Tensor, speech_mask: Tensor, speech_positions: Tensor
) -> tuple[Tensor, Tensor]:
    """Invert "where does each source stand" into "what stands at each position".

    Args:
        fed (Tensor): True for tokens in the sequence (B, T_text).
        text_positions (Tensor): Their positions (B, T_text).
        speech_mask (Tensor): True for real frames (B, T_lat).
        speech_positions (Tensor): Their positions (B, T_lat).

    Returns:
        tuple[Tensor, Tensor]: Source index and type id of each position, both
            (B, T_text + T_lat).
    """
    batch, max_text = fed.shape
    size = max_text + speech_mask.shape[1]
    taken = torch.cat([fed, speech_mask], dim=1)  # (B, T_text + T_lat)
    positions = torch.cat([text_positions, speech_positions], dim=1)
    positions = torch.where(taken, positions, size)  # the rest to a spare column
    source = torch.arange(size, device=fed.device).expand(batch, -1)
    index = torch.zeros(batch, size + 1, dtype=torch.long, device=fed.device)
    index = index.scatter(1, positions, source)[:, :size]
    types = torch.full_like(index, SPEECH_TYPE)
    types[index < max_text] = TEXT_TYPE
    return index, types


def _validate_lengths(text_lengths: Tensor, latents_lengths: Tensor) -> None:
    """Refuse rows without text or without speech."""
    for name, lengths in [("text", text_lengths), ("latents", latents_lengths)]:
        empty = (lengths < 1).nonzero().flatten().tolist()
        if empty:
            raise ValueError(
                f"{name}_lengths: rows {empty[:10]} of the batch are empty, wanted at "
                "least 1. Filter the utterances again (stage 3)."
            )
