"""One line on a training: how far it went and which epoch was best."""

from pathlib import Path

import torch


def summarize_training(experiment: Path) -> str:
    """Read what ESPnet's reporter has kept and say it in one line.

    Args:
        experiment (Path): Folder with ``checkpoint.pth``.

    Returns:
        str: Epochs, seconds, and for each validation loss its first and best value.

    Raises:
        FileNotFoundError: If nothing has been trained there.
    """
    checkpoint = experiment / "checkpoint.pth"
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint} is missing: run stage 6 first")
    states = torch.load(checkpoint, map_location="cpu", weights_only=False)
    stats = states["reporter"]["stats"]  # epoch -> phase -> name -> value
    seconds = sum(
        phase["time"].total_seconds()
        for epoch in stats.values()
        for phase in epoch.values()
    )
    told = [f"{len(stats)} epochs, {seconds:.0f} s in batches"]
    first = min(stats)
    for name in sorted(stats[first]["valid"]):
        if not name.endswith("loss"):
            continue
        values = {epoch: stats[epoch]["valid"][name] for epoch in stats}
        best = min(values, key=values.get)
        told.append(
            f"valid {name} {values[first]:.3f}, best {values[best]:.3f} (epoch {best})"
        )
    return "; ".join(told)
