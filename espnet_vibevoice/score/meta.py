"""With what, when and on what a set was scored: ``meta.json``."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import espnet_vibevoice
from espnet_vibevoice.score.columns import SYSTEMS
from espnet_vibevoice.score.conf import ScoreConf
from espnet_vibevoice.score.set_files import SetFiles

_PACKAGES = ("torch", "espnet", "transformers", "faster-whisper", "jiwer", "pyworld")


def build_meta(
    files: SetFiles, conf: ScoreConf, command: str, utterances: int, gaps: list[str]
) -> dict[str, Any]:
    """Gather what belongs to the figures of a set.

    Args:
        files (SetFiles): What was scored.
        conf (ScoreConf): With what.
        command (str): Command line that leads to these figures.
        utterances (int): Number of utterances of the set.
        gaps (list[str]): What was asked for and has no value; empty if nothing.

    Returns:
        dict: Content of ``meta.json``.

    Raises:
        ValueError: ``decoding.json`` is damaged.
    """
    speaker = conf.speaker_model
    decoding = _read_decoding(files.recordings[0])
    return {
        "set": files.data_dir.name,
        "decode_dir": str(files.decode_dir),
        "decoding": files.decode_dir.absolute().parent.name,
        "experiment": files.decode_dir.absolute().parents[1].name,
        "utterances": utterances,
        "wav_scp": {system: str(files.wav_scp(system)) for system in SYSTEMS},
        "recognizers": [
            {"name": spec.name, "kind": spec.kind, "model": spec.identity}
            for spec in conf.recognizers
        ],
        "speaker_model": None
        if speaker is None
        else {"kind": speaker.kind, "model": speaker.identity},
        "versa": conf.versa,
        "bootstrap": {"draws": conf.draws, "seed": conf.seed},
        "normalizer": {
            "name": "espnet_vibevoice.score.error_rates.prepare_text",
            "version": espnet_vibevoice.__version__,
        },
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "git_commit": find_commit(),
        "versions": list_versions(),
        "real_time_factor": decoding.get("real_time_factor"),
        "first_audio_sec": decoding.get("first_audio_sec"),
        "gaps": gaps,
    }


def list_versions() -> dict[str, str]:
    """Versions of Python and of what the figures depend on."""
    found = {"python": platform.python_version()}
    found["espnet_vibevoice"] = espnet_vibevoice.__version__
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def find_commit() -> dict[str, str] | None:
    """Hash and date of the commit of the recipe's checkout; None if it is in none."""
    command = ["git", "log", "-1", "--format=%H%n%cI"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return None
    lines = found.stdout.splitlines()
    return {"hash": lines[0], "date": lines[1]} if len(lines) == 2 else None


def _read_decoding(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise ValueError(f"{path}: not JSON ({err}). Decode the set again.") from err
    return content
