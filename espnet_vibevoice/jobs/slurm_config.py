"""Kaldi's ``conf/slurm.conf``: which sbatch arguments an option stands for.

Lines of the file, ``$0`` being the value of the option::

    command sbatch --export=ALL
    option time=* --time $0
    option gpu=0 -p cpu
    option gpu=* -p gpu --gres=gpu:$0
    default gpu=0
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.kaldi import read_lines

DEFAULT_CONFIG_PATH = "conf/slurm.conf"
_BUILT_IN = """\
command sbatch --export=ALL
option name=* --job-name $0
option time=* --time $0
option mem=* --mem-per-cpu $0
option mem=0
option num_threads=* --cpus-per-task $0
option num_nodes=* --nodes $0
option gpu=0
option gpu=* --gres=gpu:$0
"""
_OPTION = re.compile(r"option\s+(\w+)=(\S+)(?:\s+(.*))?")
_DEFAULT = re.compile(r"default\s+(\w+)=(\S+)")


@dataclass(frozen=True)
class SlurmConfig:
    """Parsed ``slurm.conf``.

    Args:
        source (str): Where it was read, for messages.
        command (tuple[str, ...]): sbatch and the arguments it always gets.
        rules (dict): (option, value or ``*``) to argument template.
        defaults (dict[str, str]): Values of options that are not given.
    """

    source: str
    command: tuple[str, ...]
    rules: dict[tuple[str, str], str]
    defaults: dict[str, str]

    def build_command(self, options: Mapping[str, str]) -> list[str]:
        """Make the start of the sbatch command line for these options.

        Raises:
            ValueError: The file has no line for an option.
        """
        words = list(self.command)
        for name, value in {**self.defaults, **options}.items():
            template = self.rules.get((name, value), self.rules.get((name, "*")))
            if template is None:
                raise ValueError(
                    f"{self.source}: no line for --{name} {value}. Add one, e.g. "
                    f"'option {name}=* --{name.replace('_', '-')} $0'."
                )
            words += [word.replace("$0", value) for word in shlex.split(template)]
        return words


def load_slurm_config(path: str | None) -> SlurmConfig:
    """Read ``slurm.conf``.

    Args:
        path (str | None): File; None for ``conf/slurm.conf`` or, where there is
            none, built-in rules that name no partition.

    Raises:
        FileNotFoundError: The file named does not exist.
        ValueError: A line is none of ``command``, ``option``, ``default``.
    """
    if path is None and not Path(DEFAULT_CONFIG_PATH).is_file():
        return _parse("built-in slurm.conf", _BUILT_IN.splitlines())
    path = path or DEFAULT_CONFIG_PATH
    return _parse(path, read_lines(path))


def _parse(source: str, lines: list[str]) -> SlurmConfig:
    command: tuple[str, ...] = ()
    rules: dict[tuple[str, str], str] = {}
    defaults: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if option := _OPTION.fullmatch(line):
            rules[option[1], option[2]] = option[3] or ""
        elif default := _DEFAULT.fullmatch(line):
            defaults[default[1]] = default[2]
        elif line.startswith("command "):
            command = tuple(shlex.split(line)[1:])
        elif line:
            raise ValueError(
                f"{source}:{number}: want 'command ...', 'option NAME=VALUE ...' or "
                f"'default NAME=VALUE', got {line!r}."
            )
    if not command:
        raise ValueError(f"{source}: no 'command' line, e.g. 'command sbatch'.")
    return SlurmConfig(source, command, rules, defaults)
