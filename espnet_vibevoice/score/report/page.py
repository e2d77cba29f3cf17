"""One HTML file with everything in it, and nothing that reaches out of it.

The page's own policy forbids every request to a network, and every script but the one
that is named by its hash.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.score.report.markup import Markup, element


def write_page(
    out: Path, title: str, scripts: Sequence[str], body: Iterable[Markup]
) -> None:
    """Write a page piece by piece, so that it is never held as a whole.

    Args:
        out (Path): HTML file, written whole or not at all.
        title (str): Title of the page.
        scripts (Sequence[str]): Names of files in ``static/``, in order.
        body (Iterable[Markup]): Pieces of the body.

    Raises:
        OSError: The file cannot be written.
    """
    write_lines(out, iterate_page(title, scripts, body))


def iterate_page(
    title: str, scripts: Sequence[str], body: Iterable[Markup]
) -> Iterator[str]:
    """Give the lines of a page; see `write_page`."""
    style = read_static("page.css")
    script = "\n".join(read_static(name) for name in scripts)
    policy = (
        "default-src 'none'; img-src data:; media-src data: blob:; "
        f"style-src 'unsafe-inline'; script-src '{hash_script(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    yield "<!doctype html>"
    yield '<html lang="en" dir="ltr">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<meta name="format-detection" content="telephone=no">'
    yield '<link rel="icon" href="data:,">'
    yield element("title", title)
    yield f"<style>\n{style}</style>"
    yield "</head>"
    yield "<body>"
    yield from body
    yield f"<script>{script}</script>"
    yield "</body>"
    yield "</html>"


def hash_script(script: str) -> str:
    """Name a script as a content security policy does."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def read_static(name: str) -> str:
    """Read a part of the pages that never changes.

    Raises:
        FileNotFoundError: The package was installed without its data files.
    """
    file = resources.files(__package__).joinpath("static", name)
    return file.read_text(encoding="utf-8")


def make_data_url(kind: str, content: bytes) -> str:
    """Put a file into an address, e.g. of ``image/jpeg``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
