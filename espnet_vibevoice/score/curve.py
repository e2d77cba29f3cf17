"""The validation curve of a training: a picture, and TensorBoard's files."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from torch.utils.tensorboard import SummaryWriter

matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402 (the backend must be chosen first)


class ValidationCurve:
    """Draws the rows of a history; call it after each validation.

    Args:
        out_dir (Path): Gets ``validation.png`` and ``tensorboard/``.
    """

    def __init__(self, out_dir: Path):
        self.out_dir = out_dir
        self._writer = SummaryWriter(str(out_dir / "tensorboard"))

    def __call__(self, history: Sequence[dict[str, float]]) -> None:
        """Draw all rows and log the last one.

        Args:
            history (Sequence): Rows with ``step``, ``train_loss`` and ``valid_loss``.
        """
        for key, value in history[-1].items():
            if key != "step":
                self._writer.add_scalar(key, value, int(history[-1]["step"]))
        self._writer.flush()
        figure = Figure(figsize=(7, 4), layout="constrained")
        axis = figure.subplots()
        steps = [row["step"] for row in history]
        for key, label in (("train_loss", "training"), ("valid_loss", "validation")):
            axis.plot(steps, [row[key] for row in history], marker=".", label=label)
        axis.set(xlabel="step", ylabel="log-mel distance (nepers of power)")
        axis.set_ylim(bottom=0)
        axis.legend()
        axis.grid(alpha=0.3)
        path = self.out_dir / "validation.png"
        temporary = path.with_name(f".{path.name}.tmp.png")
        figure.savefig(temporary, dpi=100)
        temporary.replace(path)
