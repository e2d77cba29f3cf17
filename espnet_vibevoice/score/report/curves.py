"""The course of a training, drawn as lines inside the page.

The values are those that ESPnet's reporter keeps in ``checkpoint.pth``; its tensors
are mapped, not read, so that the size of a model does not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.score.report.markup import Markup, element

_WIDTH, _HEIGHT = 320, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 312, 10, 124  # frame of the plot
_MAX_POINTS = 200
_ENDINGS = ("loss", "accuracy")


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs.

    Attributes:
        name (str): Name in the reporter, e.g. ``diffusion_loss``.
        lines (dict[str, list[tuple[int, float]]]): ``train`` and ``valid`` to pairs of
            epoch and value, in order of epochs.
    """

    name: str
    lines: dict[str, list[tuple[int, float]]]


def read_curves(experiment_dir: Path) -> list[Curve]:
    """Read losses and accuracies of a training.

    Args:
        experiment_dir (Path): Folder with ``checkpoint.pth``.

    Returns:
        list[Curve]: ``loss`` first, then by name.

    Raises:
        FileNotFoundError: Nothing has been trained there.
    """
    checkpoint = experiment_dir / "checkpoint.pth"
    if not checkpoint.is_file():
        raise FileNotFoundError(
            f"{checkpoint} is missing: without it there are no training curves. Give "
            "the folder of a finished training (stage 6), or none."
        )
    import torch  # seconds to import, and only the curves need it

    states = torch.load(checkpoint, map_location="cpu", weights_only=False, mmap=True)
    stats = states["reporter"]["stats"]  # epoch -> phase -> name -> value
    return collect_curves(stats)


def collect_curves(stats: Mapping[int, Mapping[str, Mapping]]) -> list[Curve]:
    """Turn the reporter's statistics into curves; see `read_curves`."""
    names = {name for epoch in stats.values() for name in epoch.get("valid", {})}
    chosen = sorted(
        (name for name in names if name.endswith(_ENDINGS)),
        key=lambda name: (name != "loss", name),
    )
    curves = []
    for name in chosen:
        lines = {
            phase: [
                (epoch, float(stats[epoch][phase][name]))
                for epoch in sorted(stats)
                if name in stats[epoch].get(phase, {})
            ]
            for phase in ("train", "valid")
        }
        curves.append(Curve(name, lines))
    return curves


def build_curves(curves: Sequence[Curve]) -> Markup:
    """Make the section of the training curves."""
    figures = [
        element("figure", _draw(curve), element("figcaption", *_caption(curve)))
        for curve in curves
    ]
    legend = element(
        "p",
        element("span", class_="key valid"),
        "validation ",
        element("span", class_="key train"),
        "training; over epochs",
        class_="small",
    )
    grid = element("div", *figures, class_="curves")
    return element("section", element("h2", "Training"), grid, legend)


def _caption(curve: Curve) -> tuple[Markup, str]:
    is_loss = curve.name.endswith("loss")
    choose = min if is_loss else max
    epoch, best = choose(curve.lines["valid"], key=lambda point: point[1])
    name = curve.name.replace("_", " ")
    return element("b", name), f" best {best:.4g} in epoch {epoch}"


def _draw(curve: Curve) -> Markup:
    """Draw one curve as SVG; thin out what is denser than the paper."""
    points = [point for line in curve.lines.values() for point in line]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    lines = [
        element(
            "polyline",
            points=_place(line, (low_x, high_x), (low_y, high_y)),
            class_=phase,
        )
        for phase, line in curve.lines.items()
        if line
    ]
    frame = f"M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"
    labels = (
        _write(_LEFT - 6, _TOP + 8, f"{high_y:.3g}", "end"),
        _write(_LEFT - 6, _BOTTOM, f"{low_y:.3g}", "end"),
        _write(_LEFT, _BOTTOM + 16, f"{low_x}", "start"),
        _write(_RIGHT, _BOTTOM + 16, f"{high_x}", "end"),
    )
    return element(
        "svg",
        element("path", d=frame, class_="frame"),
        *lines,
        *labels,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=f"{curve.name} over epochs {low_x} to {high_x}",
    )


def _place(
    line: Sequence[tuple[int, float]],
    span_x: tuple[float, float],
    span_y: tuple[float, float],
) -> str:
    step = max(1, -(-len(line) // _MAX_POINTS))
    kept = [*line[:-1:step], line[-1]]
    width = (span_x[1] - span_x[0]) or 1.0
    height = (span_y[1] - span_y[0]) or 1.0
    return " ".join(
        f"{_LEFT + (x - span_x[0]) / width * (_RIGHT - _LEFT):.1f},"
        f"{_BOTTOM - (y - span_y[0]) / height * (_BOTTOM - _TOP):.1f}"
        for x, y in kept
    )


def _write(x: float, y: float, text: str, anchor: str) -> Markup:
    return element("text", text, x=x, y=y, text_anchor=anchor)
