"""Where text tokens and speech frames stand in the upper part's input.

A voice prompt comes first: all its frames, then its transcript. Generation then feeds
``text_window`` tokens, makes ``speech_window`` frames, and so on until the text is out;
then only frames follow. Training lays out the same sequence. A frame is conditioned on
the position before it. Text whose window would open only after the last frame is left
out: generation stops at the end of speech and never feeds it.

The prompt is joined to the row it belongs to (`join_rows`): transcript and text are one
text, prompt frames and target frames one speech. An unconditional row is nothing
special: it has no prompt, and its text is the one negative-prompt token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

SPEECH_TYPE = 0
TEXT_TYPE = 1


@dataclass(frozen=True)
class SequenceLayout:
    """Layout of a right-padded batch. Text and speech include those of the prompts.

    Args:
        source_index (Tensor): For each position its row in ``cat([text, speech])``
            along time, so frame j is row T_text + j (B, T_seq); 0 in padding.
        type_ids (Tensor): `TEXT_TYPE` or `SPEECH_TYPE` of each position (B, T_seq).
        lengths (Tensor): Positions of each row (B,).
        speech_positions (Tensor): Position of each frame (B, T_lat); 1 in prompts and
            padding.
        speech_mask (Tensor): True for the frames to learn, so not for those of the
            prompt (B, T_lat).
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


def validate_prompt_text_type(prompt_text_type: int) -> None:
    """Refuse a type that the type embedding does not have.

    Args:
        prompt_text_type (int): Type of the transcript of a voice prompt.

    Raises:
        ValueError: If it is neither `SPEECH_TYPE` nor `TEXT_TYPE`.
    """
    if prompt_text_type not in (SPEECH_TYPE, TEXT_TYPE):
        raise ValueError(
            f"prompt_text_type is {prompt_text_type}: choose {SPEECH_TYPE} (as in "
            f"released voices) or {TEXT_TYPE} (as text to speak)"
        )


def join_rows(
    first: Tensor, first_lengths: Tensor, second: Tensor, second_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Put two right-padded batches one behind the other, row by row.

    Args:
        first (Tensor): Batch whose rows come first (B, T1, ...).
        first_lengths (Tensor): Real entries of each row, may be 0 (B,).
        second (Tensor): Batch of the same type (B, T2, ...).
        second_lengths (Tensor): Real entries of each row, may be 0 (B,).

    Returns:
        tuple[Tensor, Tensor]: Joined rows, 0 in padding (B, T, ...), and their lengths
            (B,). What stood in padding is gone.
    """
    lengths = first_lengths + second_lengths
    slot = torch.arange(int(lengths.max()), device=second.device)  # (T,)
    behind = slot - first_lengths[:, None]  # place in the second row (B, T)
    index = torch.where(behind < 0, slot, first.shape[1] + behind)
    is_padding = slot >= lengths[:, None]
    index = index.masked_fill(is_padding, 0)
    rows = torch.arange(len(lengths), device=second.device)[:, None]
    joined = torch.cat([first, second], dim=1)[rows, index]
    is_padding = is_padding.view(*is_padding.shape, *[1] * (joined.dim() - 2))
    return joined.masked_fill(is_padding, 0), lengths


def build_layout(
    text_lengths: Tensor,
    latents_lengths: Tensor,
    text_window: int,
    speech_window: int,
    *,
    prompt_text_lengths: Tensor | None = None,
    prompt_latents_lengths: Tensor | None = None,
    prompt_text_type: int = SPEECH_TYPE,
    max_text: int | None = None,
    max_frames: int | None = None,
) -> SequenceLayout:
    """Lay out a batch of (prompt, text, speech).

    Args:
        text_lengths (Tensor): Tokens to speak in each row, at least 1 (B,).
        latents_lengths (Tensor): Frames to make in each row, at least 1 (B,).
        text_window (int): Tokens per window.
        speech_window (int): Frames per window.
        prompt_text_lengths (Tensor | None): Tokens of each prompt's transcript, 0
            where there is none (B,); None: no row has one.
        prompt_latents_lengths (Tensor | None): Frames of each prompt, likewise (B,).
        prompt_text_type (int): Type of the transcript: `SPEECH_TYPE` as in released
            voices, or `TEXT_TYPE`.
        max_text (int | None): Padded size T_text of the joined texts; default the
            longest row.
        max_frames (int | None): Padded size T_lat of the joined speech, likewise.

    Returns:
        SequenceLayout: The layout.

    Raises:
        ValueError: If a window or a length is below 1, or the type is another.
    """
    validate_windows(text_window, speech_window)
    validate_prompt_text_type(prompt_text_type)
    _validate_lengths(text_lengths, latents_lengths)
    said = _or_zeros(prompt_text_lengths, text_lengths)  # (B, 1)
    heard = _or_zeros(prompt_latents_lengths, text_lengths)  # (B, 1)
    num_text, num_frames = text_lengths[:, None], latents_lengths[:, None]  # (B, 1)
    max_text = int((said + num_text).max()) if max_text is None else max_text
    max_frames = int((heard + num_frames).max()) if max_frames is None else max_frames
    device = text_lengths.device
    # Negative numbers count the prompt's tokens and frames, which stand before 0.
    token = torch.arange(max_text, device=device) - said  # (B, T_text)
    frame = torch.arange(max_frames, device=device) - heard  # (B, T_lat)

    frames_before = token // text_window * speech_window
    frames_before = frames_before.masked_fill(token < 0, 0)
    fed = (token < num_text) & (frames_before < num_frames)
    tokens_before = text_window * (frame // speech_window + 1)
    tokens_before = torch.minimum(tokens_before, num_text)
    tokens_before = torch.where(frame < 0, -said, tokens_before)
    start = heard + said  # position where the prompt has ended
    is_real = frame < num_frames
    source_index, type_ids = _fill_positions(
        fed, start + token + frames_before, is_real, start + frame + tokens_before
    )
    type_ids[_is_transcript(type_ids, heard, said)] = prompt_text_type
    speech_mask = is_real & (frame >= 0)
    lengths = fed.sum(1) + is_real.sum(1)
    longest = int(lengths.max())
    return SequenceLayout(
        source_index=source_index[:, :longest],
        type_ids=type_ids[:, :longest],
        lengths=lengths,
        speech_positions=torch.where(speech_mask, start + frame + tokens_before, 1),
        speech_mask=speech_mask,
        last_frame_mask=frame == num_frames - 1,
        unfed_tokens=text_lengths + said[:, 0] - fed.sum(1),
    )


def _or_zeros(lengths: Tensor | None, like: Tensor) -> Tensor:
    """Return lengths as a column, zeros if there are none (B, 1)."""
    return (torch.zeros_like(like) if lengths is None else lengths)[:, None]


def _is_transcript(positions: Tensor, heard: Tensor, said: Tensor) -> Tensor:
    """Mark the transcript's positions: behind the prompt's frames (B, T_seq)."""
    position = torch.arange(positions.shape[1], device=positions.device)
    return (position >= heard) & (position < heard + said)


def _fill_positions(
    fed: Tensor, text_positions: Tensor, is_real: Tensor, speech_positions: Tensor
) -> tuple[Tensor, Tensor]:
    """Invert "where does each source stand" into "what stands at each position".

    Args:
        fed (Tensor): True for tokens in the sequence (B, T_text).
        text_positions (Tensor): Their positions (B, T_text).
        is_real (Tensor): True for frames in the sequence (B, T_lat).
        speech_positions (Tensor): Their positions (B, T_lat).

    Returns:
        tuple[Tensor, Tensor]: Source index and type id of each position, both
            (B, T_text + T_lat).
    """
    batch, max_text = fed.shape
    size = max_text + is_real.shape[1]
    taken = torch.cat([fed, is_real], dim=1)  # (B, T_text + T_lat)
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
