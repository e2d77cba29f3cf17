"""Settings of generation in both families."""

import math
from dataclasses import dataclass

from espnet_vibevoice.models.sequence import validate_windows

MIN_CAP_FRAMES = 8


@dataclass(frozen=True, kw_only=True)
class SpeechSettings:
    """What both families need to be told; the defaults are those of each family.

    Args:
        cfg_scale (float): Guidance; more follows the text harder. 1 is none and does
            without the negative branch, which saves half of the time.
        num_sampling_steps (int): Diffusion steps per frame; more is slower.
        max_frames_per_token (float): Cap on the frames per text token.
        max_frames (int): Cap on all frames (7.5 of them are one second).

    Raises:
        ValueError: If a setting is out of range.
    """

    cfg_scale: float
    num_sampling_steps: int
    max_frames_per_token: float = 6.0
    max_frames: int

    def __post_init__(self) -> None:
        """Refuse what would fail, or never end, much later."""
        if self.max_frames < 1:
            raise ValueError(
                f"max_frames {self.max_frames}: no frame may be made. Raise it."
            )
        if not 0 < self.max_frames_per_token < math.inf:
            raise ValueError(
                f"max_frames_per_token {self.max_frames_per_token}: wanted a number "
                "above 0. 4 to 6 leaves room for slow speech."
            )
        if not math.isfinite(self.cfg_scale):
            raise ValueError(
                f"cfg_scale {self.cfg_scale}: wanted a finite number. 1.3 to 3 is "
                "usual, 1 is no guidance."
            )

    def count_max_frames(self, num_tokens: int) -> int:
        """Frames after which a text is given up, never less than a second.

        Args:
            num_tokens (int): Length of the text.
        """
        cap = math.ceil(self.max_frames_per_token * num_tokens)
        return min(max(MIN_CAP_FRAMES, cap), self.max_frames)


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(SpeechSettings):
    """How the realtime family speaks.

    Args:
        cfg_scale (float): See `SpeechSettings`, as all that are not explained here.
        num_sampling_steps (int): Diffusion steps per frame.
        eos_threshold (float): Probability above which speech ends; more ends later.
        max_frames_per_token (float): Cap on the frames per text token.
        max_frames (int): Cap on all frames.
        text_window (int): Text tokens per window, as in training.
        speech_window (int): Frames per window, as in training.

    Raises:
        ValueError: If a setting is out of range.
    """

    cfg_scale: float = 1.5
    num_sampling_steps: int = 5
    max_frames: int = 2000
    eos_threshold: float = 0.5
    text_window: int = 5
    speech_window: int = 6

    def __post_init__(self) -> None:
        """Refuse what would fail, or never end, much later."""
        super().__post_init__()
        validate_windows(self.text_window, self.speech_window)
        if not 0 <= self.eos_threshold <= 1:
            raise ValueError(
                f"eos_threshold {self.eos_threshold}: wanted a probability. 0.5 is "
                "usual."
            )

    def count_max_frames(self, num_tokens: int) -> int:
        """Frames after which a text is given up, at least one window.

        Args:
            num_tokens (int): Length of the text.
        """
        cap = max(self.speech_window, math.ceil(self.max_frames_per_token * num_tokens))
        return min(cap, self.max_frames)


@dataclass(frozen=True, kw_only=True)
class ScriptSettings(SpeechSettings):
    """How the multi-speaker family speaks.

    Args:
        cfg_scale (float): See `SpeechSettings`, as all that are not explained here.
        num_sampling_steps (int): Diffusion steps per frame.
        max_frames_per_token (float): Cap on the frames per token of the script.
        max_frames (int): Cap on all frames.
        max_control_tokens (int): Cap on the control tokens in a row: speech is given
            up when so many have brought no frame.
        ends_with_segment (bool): Whether the first end of a speech segment is the
            end, for a model that was trained without the end-of-text token.

    Raises:
        ValueError: If a setting is out of range.
    """

    cfg_scale: float = 1.3
    num_sampling_steps: int = 10
    max_frames: int = 45000  # 100 minutes
    max_control_tokens: int = 8
    ends_with_segment: bool = False

    def __post_init__(self) -> None:
        """Refuse what would fail, or never end, much later."""
        super().__post_init__()
        if self.max_control_tokens < 1:
            raise ValueError(
                f"max_control_tokens {self.max_control_tokens}: wanted 1 or more. 8 is "
                "usual."
            )
