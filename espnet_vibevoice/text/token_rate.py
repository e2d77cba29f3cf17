"""Whether text keeps up with speech: tokens per second against the window.

Realtime generation reads ``text_window`` tokens, then makes ``speech_window`` frames,
again and again. An utterance with more tokens a frame than that would have to speak
words that it has not been given yet; its text lags behind.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TokenRate:
    """Token rates of a set of utterances.

    Attributes:
        utterances (int): Number of utterances.
        tokens (int): Tokens in all, each text with its final newline.
        frames (int): Latent frames in all.
        per_second (np.ndarray): Tokens per second of each utterance (B,).
        lagging (list[str]): Ids of utterances whose text lags behind.
        text_window (int | None): Tokens read at a time; None: all text is read
            before speech begins.
        speech_window (int): Frames made before the next tokens are read.
    """

    utterances: int
    tokens: int
    frames: int
    per_second: np.ndarray
    lagging: list[str]
    text_window: int | None
    speech_window: int

    @property
    def lagging_share(self) -> float:
        """Share of utterances whose text lags behind, 0 to 1."""
        return len(self.lagging) / self.utterances


def lags_behind(tokens: int, frames: int, text_window: int, speech_window: int) -> bool:
    """Tell whether speech would overtake the text that has been read.

    Args:
        tokens (int): Tokens of the utterance.
        frames (int): Its latent frames.
        text_window (int): Tokens read at a time.
        speech_window (int): Frames made before the next tokens are read.

    Example:
        >>> lags_behind(20, 12, text_window=5, speech_window=6)  # 10 read, 20 spoken
        True
        >>> lags_behind(5, 2, text_window=5, speech_window=6)  # all read at once
        False
    """
    if tokens <= text_window:
        return False
    return tokens * speech_window > text_window * frames


def measure_token_rate(
    tokens: dict[str, int],
    frames: dict[str, int],
    *,
    frame_rate_hz: float,
    text_window: int | None,
    speech_window: int,
) -> TokenRate:
    """Measure the token rate of a set.

    Args:
        tokens (dict): Utterance id to number of tokens.
        frames (dict): Utterance id to number of latent frames; same ids.
        frame_rate_hz (float): Latent frames per second.
        text_window (int | None): Tokens read at a time; None: all of them.
        speech_window (int): Frames made before the next tokens are read.

    Raises:
        ValueError: If there is no utterance.
    """
    if not tokens:
        raise ValueError("no utterance to measure the token rate of")
    rates = [tokens[key] / frames[key] * frame_rate_hz for key in tokens]
    lagging = [
        key
        for key in tokens
        if text_window is not None
        and lags_behind(tokens[key], frames[key], text_window, speech_window)
    ]
    return TokenRate(
        utterances=len(tokens),
        tokens=sum(tokens.values()),
        frames=sum(frames[key] for key in tokens),
        per_second=np.array(rates),
        lagging=lagging,
        text_window=text_window,
        speech_window=speech_window,
    )


def smallest_text_window(
    tokens: dict[str, int],
    frames: dict[str, int],
    speech_window: int,
    max_lagging_share: float,
) -> int:
    """Return the smallest text window with which few enough utterances lag."""
    longest = max(tokens.values())
    for text_window in range(1, longest):
        lagging = sum(
            lags_behind(tokens[key], frames[key], text_window, speech_window)
            for key in tokens
        )
        if lagging <= max_lagging_share * len(tokens):
            return text_window
    return longest


def format_report(rate: TokenRate, name: str) -> str:
    """Return the lines that stage 4 writes and shows for one set."""
    low, median, high = np.percentile(rate.per_second, [1, 50, 99])
    report = (
        f"{name}: {rate.utterances} utterances, {rate.tokens} tokens, "
        f"{rate.frames} frames; tokens per second: median {median:.2f}, "
        f"1 % below {low:.2f}, 1 % above {high:.2f}"
    )
    if rate.text_window is None:
        return f"{report}; all text is read before speech begins"
    keeps_up = rate.text_window / rate.speech_window
    return (
        f"{report}; window {rate.text_window}/"
        f"{rate.speech_window} reads {keeps_up:.2f} tokens a frame; text lags behind "
        f"in {len(rate.lagging)} utterances ({100 * rate.lagging_share:.1f} %)"
    )
