"""Two texts beside each other, with what differs between them marked.

The kinds are told apart by their lines (underlined, doubly underlined, struck out), not
by colour alone. A zero-width non-joiner, which no font shows, is drawn inside a marked
word.
"""

from espnet_vibevoice.score.error_rates import (
    WordEdit,
    align_characters,
    align_words,
)
from espnet_vibevoice.score.report.markup import Markup, element, escape, join
from espnet_vibevoice.text.persian.alphabet import ZWNJ


def mark_reference(reference: str, hypothesis: str) -> Markup:
    """Mark the words of a reference that were not recognised as they stand."""
    words = []
    for edit in align_words(reference, hypothesis):
        if edit.kind == "equal":
            words.append(escape(edit.reference))
        elif edit.kind == "substitute":
            inner = _mark_characters(edit.hypothesis, edit.reference)
            words.append(element("mark", inner, class_="changed"))
        elif edit.kind == "delete":
            words.append(element("mark", show_zwnj(edit.reference), class_="missed"))
    return _separate(words)


def mark_hypothesis(reference: str, hypothesis: str) -> Markup:
    """Mark what a recogniser heard otherwise, in addition, or not at all.

    Args:
        reference (str): What was to be said.
        hypothesis (str): What was heard.

    Returns:
        Markup: The hypothesis, with words of the reference that are missing from it
        struck out at their places.
    """
    return _separate([_mark_edit(edit) for edit in align_words(reference, hypothesis)])


def show_zwnj(text: str) -> Markup:
    """Draw each zero-width non-joiner; it stays in the text, to be copied with it."""
    mark = element("span", ZWNJ, class_="zwnj")
    return Markup(mark.join(escape(part) for part in text.split(ZWNJ)))


def _mark_edit(edit: WordEdit) -> Markup:
    if edit.kind == "equal":
        return escape(edit.hypothesis)
    if edit.kind == "insert":
        return element("ins", show_zwnj(edit.hypothesis))
    if edit.kind == "delete":
        return element("del", show_zwnj(edit.reference))
    inner = _mark_characters(edit.reference, edit.hypothesis)
    return element("mark", inner, class_="changed", title=edit.reference)


def _mark_characters(other: str, shown: str) -> Markup:
    """Mark the characters of a word that another word has not, run by run."""
    runs: list[tuple[bool, str]] = []
    for edit in align_characters(other, shown):
        if not edit.hypothesis:
            continue
        is_equal = edit.kind == "equal"
        if runs and runs[-1][0] == is_equal:
            runs[-1] = (is_equal, runs[-1][1] + edit.hypothesis)
        else:
            runs.append((is_equal, edit.hypothesis))
    return join(
        show_zwnj(run) if is_equal else element("b", show_zwnj(run))
        for is_equal, run in runs
    )


def _separate(words: list[Markup]) -> Markup:
    return Markup(" ".join(words))
