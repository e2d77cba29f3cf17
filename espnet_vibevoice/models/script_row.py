"""One script on its way through the loop, and what each of its steps has made."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass
class ScriptRow:
    """One script on its way.

    Args:
        prompt (Tensor): Vectors of the prompt's positions (T, H); the last is the
            start of speech.
        draw_noise (Callable): Returns the noise of frame k (D,).
        max_frames (int): Cap on the frames.
        cap (str): Name of that cap.
        max_positions (int): Positions that the base knows.
        max_control_tokens (int): Cap on the tokens in a row without a frame.
        num_frames (int): Frames made so far.
        num_tokens (int): Tokens taken so far, frames included.
        num_idle_tokens (int): Tokens since the last frame.
    """

    prompt: Tensor
    draw_noise: Callable[[int], Tensor]
    max_frames: int
    cap: str
    max_positions: int
    max_control_tokens: int
    num_frames: int = 0
    num_tokens: int = 0
    num_idle_tokens: int = 0

    def find_limit(self, is_frame: bool) -> str:
        """Name the limit that does not allow the next token.

        Args:
            is_frame (bool): Whether it stands for a frame.

        Returns:
            str: Limit and value; empty while there is room.
        """
        if len(self.prompt) + self.num_tokens >= self.max_positions:
            return f"the {self.max_positions} positions that the base knows"
        if is_frame and self.num_frames >= self.max_frames:
            return self.cap
        if not is_frame and self.num_idle_tokens >= self.max_control_tokens:
            return f"max_control_tokens {self.max_control_tokens}"
        return ""

    def count(self, is_frame: bool) -> None:
        """Count a token that was taken.

        Args:
            is_frame (bool): Whether it stands for a frame.
        """
        self.num_tokens += 1
        self.num_frames += is_frame
        self.num_idle_tokens = 0 if is_frame else self.num_idle_tokens + 1


@dataclass(frozen=True)
class ScriptFrame:
    """What a frame's token has made; for several rows each has a first dimension N.

    Args:
        latent (Tensor): Scaled latent (D,).
        condition (Tensor): Hidden state that it was made under (H,).
        negative_condition (Tensor | None): The other branch's hidden state (H,); None
            without guidance.
        waveform (Tensor): Samples (hop_samples,).
        semantic_features (Tensor): Semantic features of the samples (D_sem,).
    """

    latent: Tensor
    condition: Tensor
    negative_condition: Tensor | None
    waveform: Tensor
    semantic_features: Tensor

    def row(self, index: int) -> "ScriptFrame":
        """Pick one row of several."""
        avoided = self.negative_condition
        return ScriptFrame(
            latent=self.latent[index],
            condition=self.condition[index],
            negative_condition=None if avoided is None else avoided[index],
            waveform=self.waveform[index],
            semantic_features=self.semantic_features[index],
        )


@dataclass(frozen=True)
class ScriptStep:
    """One token of one row.

    Args:
        row (int): Index of the row.
        token (int): Its id; one that a limit forbids was chosen but not taken.
        scores (Tensor): Scores of speech start, end, frame and end of text (4,).
        has_frame (bool): Whether it stands for a frame that is made.
        is_end (bool): Whether the output ended with it.
        limit (str): Name of the limit that forbids it, else empty.
        frame (ScriptFrame | None): That frame.
    """

    row: int
    token: int
    scores: Tensor
    has_frame: bool
    is_end: bool
    limit: str
    frame: ScriptFrame | None = None
