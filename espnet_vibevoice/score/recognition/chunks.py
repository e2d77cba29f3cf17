"""Cut long audio into pieces that a model of 30 s can hear, at quiet moments."""

import numpy as np

MAX_SEC = 30.0
_SEARCH_SEC = 10.0  # the cut lies in the last ones of a piece
_PAUSE_SEC = 0.3  # what is compared by its energy
_HOP_SEC = 0.02


def split_at_pauses(
    waveform: np.ndarray, fs: int, max_sec: float = MAX_SEC
) -> list[np.ndarray]:
    """Cut a waveform into pieces of at most ``max_sec``, nothing lost or repeated.

    Each cut is made in the quietest 0.3 s of the last 10 s (or the last third, if
    that is shorter) that a piece may have.

    Args:
        waveform (np.ndarray): (T_wav,).
        fs (int): Sampling rate in Hz.
        max_sec (float): Longest piece.

    Returns:
        list[np.ndarray]: Pieces in order; the waveform itself if it is short enough.
    """
    longest = round(max_sec * fs)
    pieces = []
    while len(waveform) > longest:
        search = round(min(_SEARCH_SEC, max_sec / 3) * fs)
        begin = longest - search
        cut = begin + _find_quietest(waveform[begin:longest], fs)
        pieces.append(waveform[:cut])
        waveform = waveform[cut:]
    pieces.append(waveform)
    return pieces


def _find_quietest(waveform: np.ndarray, fs: int) -> int:
    """Give the middle of the quietest stretch, the last one of equals."""
    width, hop = round(_PAUSE_SEC * fs), max(1, round(_HOP_SEC * fs))
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    starts = np.arange(0, len(waveform) - width + 1, hop)
    sums = energy[starts + width] - energy[starts]
    quietest = len(starts) - 1 - int(np.argmin(sums[::-1]))
    return int(starts[quietest]) + width // 2
