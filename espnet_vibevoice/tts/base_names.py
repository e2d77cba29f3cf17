"""How config.yaml names a base, so that it is found again elsewhere."""

from pathlib import Path

from espnet_vibevoice.models.fingerprint import find_revision


def portable_base(base: str) -> str:
    """Name a local base by its config.json, which ``espnet2.bin.pack`` can follow.

    ESPnet's unpacking rewrites those values of config.yaml that are packed files.

    Example:
        >>> portable_base("downloads/mini_base")  # a folder with a config.json
        'downloads/mini_base/config.json'
    """
    config = Path(base) / "config.json"
    return str(config) if config.is_file() else base


def name_revision(base: str) -> str:
    """Name the commit of a base that comes from the hub: ``owner/name@commit``.

    Args:
        base (str): Folder, its config.json, or hub id with or without a revision.
    """
    revision = find_revision(base)
    return base if revision is None else f"{base.partition('@')[0]}@{revision}"
