"""When two transcripts are the same sentence, whatever their marks and spacing."""

import unicodedata


def find_text_key(text: str) -> str:
    """Return what two transcripts share if they are the same sentence.

    Letters and digits only, without vowel marks and non-joiners, in lower case.

    Example:
        >>> find_text_key("Salam, donya!") == find_text_key("salam  donya")
        True
    """
    letters = (
        char if unicodedata.category(char)[0] in "LN" else " "
        for char in text.lower()
        if unicodedata.category(char) not in ("Mn", "Cf")
    )
    return " ".join("".join(letters).split())
