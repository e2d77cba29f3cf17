"""Whether text keeps up with speech: tokens per second against the window.

Realtime generation reads ``text_window`` tokens, then makes ``speech_window`` frames,
again and again. An utterance with more tokens a frame than that would have to speak
words that it has not been given yet; its text lags behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

AUTO_WINDOW = "auto"
RELEASED_WINDOWS = (5, 6)  # tokens, frames: what the released weights were trained on
LONG_LIST = 20000  # utterances; counting the tokens of more takes seconds
QUANTILES = (1, 5, 25, 50, 75, 95, 99)  # percent
_NUM_MOST = 10  # utterances that the report names
_NUM_FEWEST = 5


@dataclass(frozen=True)
class TokenRate:
    """Token rates of a set of utterances.

    Args:
        utt_ids (list[str]): Utterances.
        tokens (np.ndarray): Tokens of each text with its final newline (B,).
        frames (np.ndarray): Latent frames of each (B,).
        frame_rate_hz (float): Latent frames per second.
        text_window (int | None): Tokens read at a time; None: all of them before
            speech begins, so that nothing can lag.
        speech_window (int): Frames made before the next tokens are read.
    """

    utt_ids: list[str]
    tokens: np.ndarray
    frames: np.ndarray
    frame_rate_hz: float
    text_window: int | None
    speech_window: int

    @property
    def per_second(self) -> np.ndarray:
        """Tokens per second of each utterance (B,)."""
        return self.tokens / self.frames * self.frame_rate_hz

    @property
    def limit(self) -> float | None:
        """Tokens per second that the window reads; None: any number."""
        if self.text_window is None:
            return None
        return self.text_window / self.speech_window * self.frame_rate_hz

    @property
    def lagging(self) -> list[str]:
        """Utterances whose text lags behind, the worst first."""
        if self.text_window is None:
            return []
        needed = needed_text_windows(self.tokens, self.frames, self.speech_window)
        worst_first = np.argsort(-self.per_second, kind="stable")
        is_late = needed > self.text_window
        return [self.utt_ids[index] for index in worst_first if is_late[index]]

    @property
    def lagging_share(self) -> float:
        """Share of utterances whose text lags behind, 0 to 1."""
        return len(self.lagging) / len(self.utt_ids)


def needed_text_windows(
    tokens: np.ndarray, frames: np.ndarray, speech_window: int
) -> np.ndarray:
    """Return the smallest text window with which each text keeps up.

    That is one that reads as many tokens a frame as are spoken, or the whole text at
    once.

    Args:
        tokens (np.ndarray): Tokens of each utterance (B,).
        frames (np.ndarray): Its latent frames (B,).
        speech_window (int): Frames made before the next tokens are read.

    Returns:
        np.ndarray: Windows (B,).

    Example:
        >>> needed_text_windows(np.array([20, 5]), np.array([12, 2]), 6)
        array([10,  5])
    """
    return np.minimum(tokens, -(-tokens * speech_window // frames))


def measure_token_rate(
    tokens: Mapping[str, int],
    frames: Mapping[str, int],
    *,
    frame_rate_hz: float,
    text_window: int | str | None,
    speech_window: int,
    max_lagging_share: float = 0.0,
) -> TokenRate:
    """Measure the token rate of a set.

    Args:
        tokens (Mapping): Utterance id to number of tokens.
        frames (Mapping): Utterance id to number of latent frames; same ids or more.
        frame_rate_hz (float): Latent frames per second.
        text_window (int | str | None): Tokens read at a time; ``auto``: see
            `choose_window`; None: all of them before speech begins.
        speech_window (int): Frames made before the next tokens are read.
        max_lagging_share (float): For ``auto``: share that may lag, 0 to 1.

    Raises:
        ValueError: If there is no utterance, or the window is no positive number.
    """
    if not tokens:
        raise ValueError("no utterance to measure the token rate of")
    utt_ids = list(tokens)
    counts = np.array([tokens[key] for key in utt_ids])
    lengths = np.array([frames[key] for key in utt_ids])
    if text_window == AUTO_WINDOW:
        text_window = choose_window(counts, lengths, speech_window, max_lagging_share)
    is_number = isinstance(text_window, int) and text_window > 0
    if text_window is not None and not is_number:
        raise ValueError(
            f"text_window is {text_window!r}: set it to a number of tokens, 1 or more, "
            f"or to {AUTO_WINDOW}"
        )
    return TokenRate(
        utt_ids, counts, lengths, frame_rate_hz, text_window, speech_window
    )


def smallest_text_window(
    tokens: np.ndarray,
    frames: np.ndarray,
    speech_window: int,
    max_lagging_share: float,
) -> int:
    """Return the smallest text window with which few enough utterances lag.

    Args:
        tokens (np.ndarray): Tokens of each utterance (B,).
        frames (np.ndarray): Its latent frames (B,).
        speech_window (int): Frames made before the next tokens are read.
        max_lagging_share (float): Share that may lag, 0 to 1.
    """
    needed = np.sort(needed_text_windows(tokens, frames, speech_window))
    may_lag = int(max_lagging_share * len(needed))
    return 1 if may_lag >= len(needed) else int(needed[len(needed) - 1 - may_lag])


def choose_window(
    tokens: np.ndarray,
    frames: np.ndarray,
    speech_window: int,
    max_lagging_share: float,
) -> int:
    """Return the text window of ``auto``: the smallest that keeps up.

    Nothing is won by going below the window that the released weights know, so that
    is the least; arguments are those of `smallest_text_window`.
    """
    smallest = smallest_text_window(tokens, frames, speech_window, max_lagging_share)
    return max(smallest, RELEASED_WINDOWS[0])


def format_report(rate: TokenRate, name: str) -> list[str]:
    """Return the lines that stage 4 writes for one set."""
    per_second = rate.per_second
    levels = np.percentile(per_second, QUANTILES)
    quantiles = ", ".join(
        f"{percent} % {level:.2f}"
        for percent, level in zip(QUANTILES, levels, strict=True)
    )
    order = np.argsort(per_second, kind="stable")
    return [
        summarize(rate, name),
        f"  quantiles of tokens per second: {quantiles}",
        f"  most tokens per second: {_name(rate, order[::-1][:_NUM_MOST])}",
        f"  fewest tokens per second: {_name(rate, order[:_NUM_FEWEST])}",
    ]


def summarize(rate: TokenRate, name: str) -> str:
    """Say in one line how many tokens a set has and whether text keeps up."""
    median = np.median(rate.per_second)
    told = (
        f"{name}: {len(rate.utt_ids)} utterances, {rate.tokens.sum()} tokens, "
        f"{rate.frames.sum()} frames; tokens per second: median {median:.2f}; "
    )
    if rate.text_window is None:
        return f"{told}all text is read before speech begins"
    windows = (rate.text_window, rate.speech_window)
    released = "/".join(map(str, RELEASED_WINDOWS))
    is_known = windows == RELEASED_WINDOWS
    known = "as released" if is_known else f"released weights know {released}"
    lagging = rate.lagging
    return (
        f"{told}window {windows[0]}/{windows[1]} ({known}) reads {rate.limit:.2f}; "
        f"text lags behind in {len(lagging)} utterances "
        f"({100 * rate.lagging_share:.1f} %)"
        + (f", first {lagging[0]}" if lagging else "")
    )


def _name(rate: TokenRate, indices: np.ndarray) -> str:
    """Name utterances with their tokens per second."""
    per_second = rate.per_second
    return ", ".join(f"{rate.utt_ids[i]} {per_second[i]:.2f}" for i in indices)
