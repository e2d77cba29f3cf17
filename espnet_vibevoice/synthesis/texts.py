"""The texts of a command, read aloud as the texts of the training were."""

import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from espnet_vibevoice.text import describe_dropped
from espnet_vibevoice.text.cleaners import Cleaner

logger = logging.getLogger(__name__)


def read_aloud(text: str, clean: Cleaner) -> str:
    """Read each line of a text; what cannot be read is logged.

    Args:
        text (str): The text, or a script.
        clean (Cleaner): What reads it.
    """
    lines = []
    for line in text.splitlines():
        reading = clean(line)
        lines.append(reading.text)
        if reading.dropped:
            lost = describe_dropped(reading.dropped)
            logger.warning("dropped, no reading is known: %s (in %r)", lost, line)
    return "\n".join(lines)


def read_texts(text: str | None, script: str | None) -> Iterable[str]:
    """Return the texts that a command is to speak; a file is read at once.

    Args:
        text (str | None): The text itself.
        script (str | None): File that holds it, - for standard input; if neither is
            given, each line of standard input is a text, taken as it comes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8.
    """
    if text is not None:
        return [text]
    if script == "-":
        return [sys.stdin.read()]
    if script is not None:
        return [_read_script(Path(script))]
    return iter(sys.stdin)


def _read_script(path: Path) -> str:
    """Read a script; editors on Windows put a byte order mark before it."""
    if not path.exists():
        raise FileNotFoundError(
            f"--script {path}: no such file. Give a text file, or - for standard input."
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        raise ValueError(f"--script {path}: not UTF-8 ({err}). Save it so.") from err
