"""Kaldi's calling convention: ``CMD [options] JOB=1:N log/x.JOB.log command args``.

The word left of ``=`` is replaced by the job's number in the log name and in every
argument. Arguments reach the command as they are; only words that are a shell
operator as a whole (``|``, ``>``, ``2>&1``, ...) keep their meaning.
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_ARRAY = re.compile(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?")
_OPERATORS = frozenset("| || && ; & > >> < 2> 2>> &> 2>&1 >&2".split())
DEFAULT_PROGRESS = r"progress: (?P<done>\d+)/(?P<total>\d+)"


@dataclass(frozen=True)
class JobArray:
    """A command to run once per number.

    Args:
        log (str): Name of the log file, with the placeholder if there are several.
        command (tuple[str, ...]): Words of the command.
        placeholder (str): Word to replace by the number; empty for a single job.
        first (int): First number.
        last (int): Last number.
        options (dict[str, str]): Options by name, with ``_`` for ``-``.
    """

    log: str
    command: tuple[str, ...]
    placeholder: str = ""
    first: int = 1
    last: int = 1
    options: dict[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> range:
        """Numbers of the jobs."""
        return range(self.first, self.last + 1)

    def log_path(self, number: int) -> Path:
        """Log file of one job."""
        return Path(self._fill(self.log, number))

    def shell_command(self, number: int) -> str:
        """Command of one job as bash reads it."""
        words = (self._fill(word, number) for word in self.command)
        return " ".join(w if w in _OPERATORS else shlex.quote(w) for w in words)

    def int_option(self, name: str, default: int) -> int:
        """Value of an option that is a whole number.

        Raises:
            ValueError: It is not a number, or negative.
        """
        value = self.options.get(name, str(default))
        if not value.isdecimal():
            raise ValueError(f"--{name} wants a whole number, got {value!r}.")
        return int(value)

    def _fill(self, word: str, number: int) -> str:
        if not self.placeholder:
            return word
        return word.replace(self.placeholder, str(number))


def parse_command_line(words: list[str]) -> JobArray:
    """Read options, array, log and command.

    Args:
        words (list[str]): Arguments behind ``run.pl`` or ``slurm.pl``.

    Raises:
        ValueError: Something is missing or malformed.
    """
    options: dict[str, str] = {}
    placeholder, first, last = "", 1, 1
    rest = list(words)
    while rest:
        match = _ARRAY.fullmatch(rest[0])
        if rest[0].startswith("-") and len(rest[0]) > 1:
            name, value = _take_option(rest)
            options[name] = value
        elif match and not placeholder:
            rest.pop(0)
            placeholder, first = match[1], int(match[2])
            last = int(match[3] or match[2])
        else:
            break
    if len(rest) < 2:
        raise ValueError(
            "Want [options] [JOB=1:N] LOG COMMAND [arguments], got "
            f"{shlex.join(words)!r}."
        )
    if placeholder and not 1 <= first <= last:
        raise ValueError(
            f"{placeholder}={first}:{last}: numbers begin at 1 and must not decrease."
        )
    if first != last and placeholder not in rest[0]:
        raise ValueError(
            f"Log {rest[0]!r} must contain {placeholder}: jobs need a log each."
        )
    return JobArray(rest[0], tuple(rest[1:]), placeholder, first, last, options)


def _take_option(rest: list[str]) -> tuple[str, str]:
    """Take ``--name value`` or ``--name=value`` from the front of the words."""
    word = rest.pop(0)
    name, equals, value = word.lstrip("-").partition("=")
    if not equals:
        if not rest:
            raise ValueError(f"Option {word} wants a value.")
        value = rest.pop(0)
    return name.replace("-", "_"), value
