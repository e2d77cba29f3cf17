"""One line on a training: how far it went and which epoch was best."""

from pathlib import Path

import torch


def summarize_training(experiment: Path) -> str:
    """Read what ESPnet's reporter has kept and say it in one line.

    Args:
        experiment (Path): Folder with ``checkpoint.pth``.

    Returns:
        str: Epochs, seconds, for each validation loss its first and best value, and
        speed, padding and memory of the last epoch where they were measured.

    Raises:
        FileNotFoundError: If nothing has been trained there.
    """
    checkpoint = experiment / "checkpoint.pth"
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint} is missing: run stage 6 first")
    states = torch.load(checkpoint, map_location="cpu", weights_only=False)
    stats = states["reporter"]["stats"]  # epoch -> phase -> name -> value
    seconds = sum(
        epoch[phase]["time"].total_seconds()
        for epoch in stats.values()
        for phase in ("train", "valid")
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
    last = stats[max(stats)]["train"]
    if "frames_per_sec" in last:
        told.append(
            f"{last['frames_per_sec']:.0f} frames/s, {last['tokens_per_sec']:.0f} "
            f"tokens/s, {last['padding_share']:.1%} padding, "
            f"{last['max_memory_GB']:.2f} GB"
        )
    return "; ".join(told)
