"""Settings of generation."""

import math
from dataclasses import dataclass

from espnet_vibevoice.models.sequence import validate_windows


@dataclass(frozen=True)
class GenerationSettings:
    """How speech is generated.

    Args:
        cfg_scale (float): Guidance; more follows the text harder. 1 is none and does
            without the negative branch, which saves half of the time.
        num_sampling_steps (int): Diffusion steps per frame; more is slower.
        eos_threshold (float): Probability above which speech ends; more ends later.
        max_frames_per_token (float): Cap on the frames per text token.
        max_frames (int): Cap on all frames (7.5 of them are one second).
        text_window (int): Text tokens per window, as in training.
        speech_window (int): Frames per window, as in training.

    Raises:
        ValueError: If a setting is out of range.
    """

    cfg_scale: float = 1.5
    num_sampling_steps: int = 5
    eos_threshold: float = 0.5
    max_frames_per_token: float = 6.0
    max_frames: int = 2000
    text_window: int = 5
    speech_window: int = 6

    def __post_init__(self) -> None:
        """Refuse what would fail, or never end, much later."""
        validate_windows(self.text_window, self.speech_window)
        if self.max_frames < 1:
            raise ValueError(
                f"max_frames {self.max_frames}: no frame may be made. Raise it."
            )
        if not 0 < self.max_frames_per_token < math.inf:
            raise ValueError(
                f"max_frames_per_token {self.max_frames_per_token}: wanted a number "
                "above 0. 4 to 6 leaves room for slow speech."
            )
        if not 0 <= self.eos_threshold <= 1 or not math.isfinite(self.cfg_scale):
            raise ValueError(
                f"eos_threshold {self.eos_threshold}, cfg_scale {self.cfg_scale}: "
                "wanted a probability and a finite number. 0.5 and 1.5 are usual."
            )

    def count_max_frames(self, num_tokens: int) -> int:
        """Frames after which a text is given up, at least one window.

        Args:
            num_tokens (int): Length of the text.
        """
        cap = max(self.speech_window, math.ceil(self.max_frames_per_token * num_tokens))
        return min(cap, self.max_frames)
