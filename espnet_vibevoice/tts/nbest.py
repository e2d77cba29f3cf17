"""Averages of the best epochs of an experiment, in the place of ESPnet's own.

ESPnet averages weights name by name, which is wrong for LoRA, and adds into the weights
it has read, which is wrong for a second average of the same epochs. Its names are kept:
``<phase>.<key>.ave_<n>best.pth``.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from espnet2.train.reporter import Reporter

from espnet_vibevoice.adapters.averaging import AverageReport, average_checkpoints
from espnet_vibevoice.tts.mending import read_checkpoint

logger = logging.getLogger(__name__)

# The second form is that of --nbest_averaging_interval.
_NAME = re.compile(r"(\w+)\.(.+)\.ave_(\d+)best(?:\.till(\d+)epoch)?\.pth")


def average_best(
    experiment: Path,
    criterion: str,
    nbest: int,
    mode: str | None = None,
    out: Path | None = None,
) -> AverageReport:
    """Average the best epochs of an experiment.

    Args:
        experiment (Path): Folder with config.yaml, checkpoint.pth and Nepoch.pth.
        criterion (str): Phase and key, such as ``valid.loss``.
        nbest (int): How many epochs.
        mode (str | None): min | max; None: as best_model_criterion of config.yaml
            says.
        out (Path | None): File to write; None: ESPnet's name in the experiment.

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: If the criterion is unknown, there are too few epochs, or they
            cannot be averaged.
    """
    experiment = Path(experiment)
    phase, _, key = criterion.partition(".")
    if mode is None:
        mode = _read_mode(experiment, phase, key)
    epochs = rank_epochs(_read_reporter(experiment), phase, key, mode)
    if not 1 <= nbest <= len(epochs):
        raise ValueError(
            f"{experiment}: {nbest} epochs wanted, it has {len(epochs)}: give --nbest "
            f"1 to {len(epochs)}"
        )
    if out is None:
        out = experiment / f"{criterion}.ave_{nbest}best.pth"
    return average_checkpoints(_name_files(experiment, epochs[:nbest]), out)


def replace_averages(experiment: Path) -> list[AverageReport]:
    """Write again what ESPnet averaged, with right averages.

    An average that cannot be made right is left as it is and named in a warning;
    where LoRA was averaged, loading refuses it.

    Args:
        experiment (Path): Folder of a training that ESPnet has finished.

    Returns:
        list[AverageReport]: What was written.
    """
    experiment = Path(experiment)
    found = sorted(experiment.glob("*.ave_*best*.pth"))
    averages = [(path, _NAME.fullmatch(path.name)) for path in found]
    averages = [(path, name) for path, name in averages if name and int(name[3]) > 1]
    if not averages:
        return []
    reporter = _read_reporter(experiment)
    reports = []
    for path, name in averages:
        try:
            reports.append(_replace_average(path, name, reporter))
        except (ValueError, FileNotFoundError) as err:
            logger.warning("%s stays ESPnet's, do not use it: %s", path, err)
    return reports


def _replace_average(path: Path, name: re.Match, reporter: Reporter) -> AverageReport:
    """Write one average again."""
    phase, key, nbest, last = name.groups()
    mode = _read_mode(path.parent, phase, key)
    epochs = rank_epochs(reporter, phase, key, mode, int(last) if last else None)
    return average_checkpoints(_name_files(path.parent, epochs[: int(nbest)]), path)


def rank_epochs(
    reporter: Reporter, phase: str, key: str, mode: str, last: int | None = None
) -> list[int]:
    """List the epochs of a training, best first, in ESPnet's order.

    Args:
        reporter (Reporter): What was reported.
        phase (str): train | valid.
        key (str): Name of the value.
        mode (str): min | max.
        last (int | None): Last epoch that counts; None: all do.

    Raises:
        ValueError: If there is no such value.
    """
    if not reporter.has(phase, key):
        known = ", ".join(".".join(names) for names in reporter.get_all_keys())
        raise ValueError(f"nothing was reported as {phase}.{key}: give one of {known}")
    epochs = reporter.sort_epochs(phase, key, mode)
    return [epoch for epoch in epochs if last is None or epoch <= last]


def _read_reporter(experiment: Path) -> Reporter:
    """Read from checkpoint.pth what the epochs reached."""
    path = experiment / "checkpoint.pth"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Give the folder of a training")
    states = read_checkpoint(path)
    if states is None:
        raise ValueError(f"{path} is cut off: train again to mend it (stage 6)")
    reporter = Reporter()
    reporter.load_state_dict(states["reporter"])
    return reporter


def _read_mode(experiment: Path, phase: str, key: str) -> str:
    """Read from config.yaml whether more of a value is better."""
    path = experiment / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Give the folder of a training")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    criteria = config["best_model_criterion"]
    for known_phase, known_key, mode in criteria:
        if (known_phase, known_key) == (phase, key):
            return mode
    known = ", ".join(".".join(names[:2]) for names in criteria)
    raise ValueError(
        f"{path}: best_model_criterion does not name {phase}.{key}, only {known}: give "
        "--mode min or --mode max"
    )


def _name_files(experiment: Path, epochs: Sequence[int]) -> list[Path]:
    return [experiment / f"{epoch}epoch.pth" for epoch in epochs]
