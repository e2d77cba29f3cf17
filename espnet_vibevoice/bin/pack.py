"""ESPnet's packing, which also packs the local base model that config.yaml names.

A checkpoint holds trained parameters only, so the archive decodes on another machine
only with its base. A base that is a hub id is fetched there instead. All options are
those of ``espnet2.bin.pack``.
"""

import argparse
import sys
from pathlib import Path

import yaml
from espnet2.bin import pack as espnet_command

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of ``espnet2.bin.pack`` that are read here as well."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--train_config", help="config.yaml of the experiment")
    parser.add_argument("--option", action="append", default=[])
    return parser


def find_local_base(train_config: Path) -> Path | None:
    """Return the folder of the base that a configuration names, if it is local.

    Args:
        train_config (Path): ``config.yaml`` of an experiment, of any model.

    Returns:
        Path | None: The folder; None for a hub id and for a model without a base.
    """
    config = yaml.safe_load(train_config.read_text(encoding="utf-8"))
    base = (config.get("tts_conf") or {}).get("base")
    if base is None or not Path(base).exists():
        return None
    return Path(base).parent if Path(base).is_file() else Path(base)


def main() -> None:
    """Pack, with the base unless an option names it already."""
    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    ours.add_argument("--base", help="not used: config.yaml names the base")
    ours.add_argument("--acoustic_encoder", help="not used: decoding needs none")
    arguments = ours.parse_known_args(sys.argv[1:])[1]
    given = get_parser().parse_known_args(arguments)[0]
    base = find_local_base(Path(given.train_config)) if given.train_config else None
    if base and base.resolve() not in (Path(path).resolve() for path in given.option):
        arguments += ["--option", str(base)]
    espnet_command.main(arguments)


if __name__ == "__main__":
    run_command(main)
