r"""A pattern that is tried only where a cheaper one is found.

A look-behind at the head of a pattern is tried at every character, while a pattern
that begins with a set of characters jumps from one to the next. The cheap pattern must
match in every text in which the dear one does.
"""

import re
from collections.abc import Callable


class Guarded:
    r"""A regular expression with a cheap test before it.

    Args:
        needs (str): Pattern without which there can be no match.
        pattern (str): The pattern itself.

    Example:
        >>> Guarded(r"\d%", r"(?<!\d)(\d)%").sub(r"\1 percent", "5%")
        '5 percent'
    """

    def __init__(self, needs: str, pattern: str):
        self._needs = re.compile(needs)
        self._pattern = re.compile(pattern)

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Replace every match, as ``re.Pattern.sub`` does."""
        if self._needs.search(text) is None:
            return text
        return self._pattern.sub(replacement, text)
