"""HTML that cannot be broken by what is written into it.

Text becomes part of a page only through `element`, which escapes whatever is not
`Markup` already: a transcript with ``<script>`` in it stays a transcript.
"""

import html
from collections.abc import Iterable

_VOID = ("br", "img", "input", "meta")


class Markup(str):
    """Whole HTML; any other text is escaped before it stands beside it."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """Turn text into HTML that shows it; `Markup` is left as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(text))


def join(parts: Iterable[str]) -> Markup:
    """Put pieces behind one another, text escaped."""
    return Markup("".join(escape(part) for part in parts))


def element(
    name: str, *content: str, **attributes: str | float | bool | None
) -> Markup:
    """Make an element.

    Args:
        name (str): Name of the element.
        *content (str): Text, which is escaped, or Markup.
        **attributes: ``class_`` is class, ``data_id`` is data-id. None and False
            leave an attribute out, True writes it without a value.

    Example:
        >>> element("p", "1 < 2", class_="sum")
        '<p class="sum">1 &lt; 2</p>'
    """
    head = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            head.append(key)
        elif value is not None and value is not False:
            head.append(f'{key}="{html.escape(str(value))}"')
    opening = f"<{' '.join(head)}>"
    if name in _VOID:
        return Markup(opening)
    return Markup(f"{opening}{join(content)}</{name}>")
