"""Where a base model lies: a folder, its config.json, or a hub id.

Imports neither torch nor transformers: recipes ask for the folder often.
"""

import re
from pathlib import Path

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_FILES = ["*.json", "*.safetensors", "*.txt"]


def resolve_base(base: str) -> Path:
    """Find the folder of a base, fetching it from the hub if it is a hub id.

    Args:
        base (str): Local folder, path of its ``config.json``, or a hub id such as
            ``owner/name`` or ``owner/name@revision``.

    Returns:
        Path: Folder that holds ``config.json``.

    Raises:
        FileNotFoundError: If a local path does not exist, or the hub has no such
            repository or cannot be reached.
    """
    path = Path(base).expanduser()
    if path.is_file() and path.name == "config.json":
        return path.parent
    if path.is_dir():
        return path
    repository, _, revision = base.partition("@")
    if _looks_local(base) or not _HUB_ID.fullmatch(repository):
        raise FileNotFoundError(
            f"{base}: no such base folder. Give an existing folder with config.json "
            "and model.safetensors, or a hub id such as owner/name@revision."
        )
    # imported here: most bases are local
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            repository, revision=revision or None, allow_patterns=_HUB_FILES
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as err:
        raise FileNotFoundError(
            f"{base}: neither a local folder nor a repository that the hub gives out "
            f"({err}). Check the name and the network, or give a local folder."
        ) from err
    return Path(folder)


def _looks_local(base: str) -> bool:
    """Whether a name that does not exist was meant as a path."""
    parent = Path(base).expanduser().parent
    return base.startswith((".", "/", "~")) or (parent != Path(".") and parent.exists())
