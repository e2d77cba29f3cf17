"""Histograms of a figure per utterance, one set above the other, with a limit."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402 (the backend must be chosen first)
from matplotlib.ticker import MaxNLocator  # noqa: E402

NUM_BINS = 60
_SHOWN_PERCENT = 99.5  # what lies above is counted in the last bar


def draw_histograms(
    values: Mapping[str, np.ndarray],
    path: Path,
    *,
    limit: float | None,
    limit_label: str,
    quantity: str,
) -> None:
    """Draw how often each value occurs in each set, and what is too much.

    Args:
        values (Mapping): Name of a set to one value of each utterance (B,), from top
            to bottom; none below 0.
        path (Path): PNG to write.
        limit (float | None): Where a line is drawn; None: nowhere.
        limit_label (str): What the line is.
        quantity (str): What the values are, with the unit.
    """
    figure = Figure(figsize=(8, 0.8 + 1.8 * len(values)), layout="constrained")
    axes = figure.subplots(len(values), 1, squeeze=False, sharex=True)[:, 0]
    shown = max(np.percentile(rows, _SHOWN_PERCENT) for rows in values.values())
    end = 1.1 * max(float(shown), limit or 0.0)
    edges = np.linspace(0.0, end, NUM_BINS + 1)
    for axis, (name, rows) in zip(axes, values.items(), strict=True):
        axis.hist(np.minimum(rows, end), bins=edges, color="tab:blue")
        title = f"{name}: {len(rows)} utterances"
        if limit is not None:
            above = int(np.sum(rows > limit))
            share = 100 * above / len(rows)
            title += f", {above} above the line ({share:.1f} %)"
            axis.axvline(limit, color="tab:red", label=limit_label)
            axis.legend(fontsize=8)
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_ylabel("utterances")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axis.grid(alpha=0.3)
    is_cut = any(np.any(rows > end) for rows in values.values())
    axes[-1].set(
        xlim=(0.0, end), xlabel=quantity + (" (last bar: or more)" if is_cut else "")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp.png")
    figure.savefig(temporary, dpi=100)
    temporary.replace(path)
