"""Limits to what a corpus says of the quality of its own utterances.

Tables ``utt2<name>`` hold one number per utterance; ``-`` where nothing is known::

    fa_0001 0.93
    fa_0002 -
"""

import re
from dataclasses import dataclass

from espnet_vibevoice.data.data_dir import Tables

_SYNTAX = re.compile(r"(\w+)(>=|<=)(\S+)")
_NO_VALUE = "-"


@dataclass(frozen=True)
class QualityLimit:
    """One limit, inclusive.

    Args:
        name (str): Name of the table behind ``utt2``.
        is_least (bool): Whether higher values pass.
        value (float): The limit.
    """

    name: str
    is_least: bool
    value: float

    @classmethod
    def parse(cls, text: str) -> "QualityLimit":
        """Read a limit as a recipe writes it.

        Raises:
            ValueError: It is not ``name>=number`` or ``name<=number``.

        Example:
            >>> QualityLimit.parse("cer<=0.1")
            QualityLimit(name='cer', is_least=False, value=0.1)
        """
        match = _SYNTAX.fullmatch(text)
        if match is None:
            raise ValueError(
                f"got the quality limit {text!r}, wanted e.g. quality>=0.8 or cer<=0.1"
            )
        return cls(match[1], match[2] == ">=", _to_number(match[3], text))

    def __str__(self) -> str:
        return f"{self.name}{'>=' if self.is_least else '<='}{self.value:g}"

    def find_value(self, tables: Tables, utt_id: str) -> str:
        """Return what the corpus says of an utterance.

        Raises:
            ValueError: There is no such table.
        """
        table = tables.get(f"utt2{self.name}")
        if table is None:
            names = ", ".join(name for name in tables if name.startswith("utt2"))
            raise ValueError(
                f"The limit {self} needs a table utt2{self.name}; there are {names}."
            )
        return table[utt_id]

    def accepts(self, value: str) -> bool:
        """Tell whether a value passes; one that is not known does.

        Raises:
            ValueError: The value is not a number.
        """
        if value == _NO_VALUE:
            return True
        number = _to_number(value, f"utt2{self.name}")
        return number >= self.value if self.is_least else number <= self.value


def _to_number(text: str, place: str) -> float:
    try:
        return float(text)
    except ValueError as err:
        raise ValueError(f"{place}: wanted a number, got {text!r}.") from err
