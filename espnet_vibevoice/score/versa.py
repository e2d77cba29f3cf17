"""Predicted opinion scores by VERSA, in a process and an environment of its own.

VERSA (https://github.com/wavlab-speech/versa, Shi et al., 2412.17667) asks for other
releases of numpy, transformers and ESPnet than we do, so its command is run, by the
Python that the environment variable ``VERSA_PYTHON`` names, else by ours. Each entry of
its configuration gets a process and a log: one that cannot be loaded, for lack of a
download say, leaves the others intact, and VERSA would run two entries of one name as
one.
"""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from espnet_vibevoice.data.audio import AudioError, load_audio
from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.kaldi import read_lines, read_table, write_table
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable

_HAS_VERSA = "import importlib.util as u, sys; sys.exit(u.find_spec('versa') is None)"
_HOW_TO_INSTALL = (
    "git clone https://github.com/wavlab-speech/versa, "
    "pip install './versa[audio,ml]' in an environment of its own, and name that "
    "environment's Python in VERSA_PYTHON"
)
# How VERSA's log tells what it left out; nothing of it is in its result.
_SAID = re.compile(
    r"Failed to load metric .*|Cannot use .*|Error computing metric .*|"
    r"Error processing file.*"
)
_ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt)\b.*")


@dataclass(frozen=True)
class VersaScores:
    """What VERSA found.

    Attributes:
        values (dict[str, dict[str, float]]): Utterance to measure, as VERSA names it
            (``utmos``), to value; what it could not measure is not there.
        reasons (dict[str, str]): Entry of the configuration to why it gave nothing,
            or not all.
    """

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def run_versa(
    wav_scp: Path,
    reference_scp: Path | None,
    config: Path,
    out_dir: Path,
    use_gpu: bool = False,
) -> VersaScores:
    """Score a table of wavs with each entry of a configuration.

    Args:
        wav_scp (Path): Kaldi table of plain paths. Audio that cannot be read is left
            out: VERSA would end there.
        reference_scp (Path | None): Natural audio of the same utterances, for entries
            that compare; others ignore it. Utterances that it lacks are left out.
        config (Path): Configuration of VERSA: a list, each entry with its ``name``.
        out_dir (Path): Gets what VERSA reads and writes, and its logs
            (``ENTRY.log``).
        use_gpu (bool): Let it use a GPU.

    Raises:
        MeasureUnavailable: VERSA is not installed, or no audio can be read.
        ValueError: The configuration is not one of VERSA.
    """
    entries = _read_entries(config)
    python = os.environ.get("VERSA_PYTHON") or sys.executable
    _check_installation(python)
    tables = _write_tables(wav_scp, reference_scp, out_dir)
    values: dict[str, dict[str, float]] = {}
    reasons: dict[str, str] = {}
    for label, entry in entries.items():
        command = [python, "-m", "versa.bin.scorer", *tables, "--io", "soundfile"]
        found, reason = _run_entry(command, label, entry, out_dir, use_gpu)
        for utt_id, measures in found.items():
            values.setdefault(utt_id, {}).update(measures)
        if reason:
            reasons[label] = reason
    return VersaScores(values, reasons)


def _read_entries(config: Path) -> dict[str, Mapping[str, Any]]:
    """Entries of a configuration; a name that is there before gets a number."""
    try:
        entries = yaml.safe_load(config.read_text(encoding="utf-8"))
    except yaml.YAMLError as err:
        raise ValueError(f"{config} is not valid YAML: {err}") from err
    is_list = isinstance(entries, list) and entries
    if not is_list or any(
        not isinstance(e, dict) or not e.get("name") for e in entries
    ):
        raise ValueError(
            f"{config} is not a configuration of VERSA: want a list whose entries "
            "have a name, e.g. '- name: nisqa'."
        )
    labelled: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        name = label = re.sub(r"[^\w.-]", "_", str(entry["name"]))
        number = 2
        while label in labelled:
            label, number = f"{name}_{number}", number + 1
        labelled[label] = entry
    return labelled


def _check_installation(python: str) -> None:
    try:
        status = subprocess.run([python, "-c", _HAS_VERSA], check=False).returncode
    except OSError as err:
        raise MeasureUnavailable(
            f"{python} (VERSA_PYTHON) cannot be run: {err.strerror}"
        ) from err
    if status != 0:
        raise MeasureUnavailable(
            f"VERSA is not installed for {python}: {_HOW_TO_INSTALL}"
        )


def _write_tables(
    wav_scp: Path, reference_scp: Path | None, out_dir: Path
) -> list[str]:
    """Write tables of what can be read; return them as options."""
    paths = _keep_readable(read_table(wav_scp))
    references = None
    if reference_scp is not None:
        table = read_table(reference_scp)
        references = _keep_readable({k: v for k, v in table.items() if k in paths})
        paths = {key: path for key, path in paths.items() if key in references}
    if not paths:
        raise MeasureUnavailable(f"{wav_scp}: VERSA gets no audio: none can be read")
    write_table(out_dir / "pred.scp", paths)
    options = ["--pred", str(out_dir / "pred.scp")]
    if references is not None:
        write_table(out_dir / "gt.scp", references)
        options += ["--gt", str(out_dir / "gt.scp")]
    return options


def _keep_readable(table: Mapping[str, str]) -> dict[str, str]:
    return {key: path for key, path in table.items() if _is_readable(path)}


def _is_readable(path: str) -> bool:
    try:
        load_audio(path)
    except AudioError:
        return False
    return True


def _run_entry(
    command: list[str],
    label: str,
    entry: Mapping[str, Any],
    out_dir: Path,
    use_gpu: bool,
) -> tuple[dict[str, dict[str, float]], str]:
    """Run VERSA with one entry.

    Returns:
        tuple: Values as in :class:`VersaScores`, and why there are none or not all;
            empty if nothing was said.
    """
    config, result = out_dir / f"{label}.yaml", out_dir / f"{label}.jsonl"
    log = out_dir / f"{label}.log"
    write_text(config, yaml.safe_dump([dict(entry)], sort_keys=False))
    result.unlink(missing_ok=True)
    options = ["--score_config", str(config), "--output_file", str(result)]
    with log.open("wb") as file:
        status = subprocess.run(
            [*command, *options, *(["--use_gpu"] if use_gpu else [])],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    values = _read_result(result)
    said = _find_reason(log)
    if status != 0 or not values:
        return values, f"{said or f'status {status}, no values'} (log: {log})"
    return values, f"{said} (log: {log})" if said else ""


def _read_result(path: Path) -> dict[str, dict[str, float]]:
    """Read numbers that are finite; a line that was cut off is no line."""
    values: dict[str, dict[str, float]] = {}
    for line in read_lines(path) if path.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(row, dict) or "key" not in row:
            continue
        numbers = {name: x for name, x in row.items() if _is_number(x)}
        numbers.pop("key", None)  # an utterance may be named by a number
        if numbers:
            values[str(row["key"])] = numbers
    return values


def _is_number(value: object) -> bool:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _find_reason(log: Path) -> str:
    """What the log says was left out, else its last error; empty if neither."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [match.group() for line in lines if (match := _SAID.search(line))]
    if said:
        return said[0]
    errors = [line for line in lines if _ERROR.match(line)]
    return errors[-1] if errors else ""
