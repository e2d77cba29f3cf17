from espnet_vibevoice.score.report.differences import (
    mark_hypothesis,
    mark_reference,
    show_zwnj,
)

ZWNJ = "\u200c"  # ZERO WIDTH NON-JOINER
SHOWN = f'<span class="zwnj">{ZWNJ}</span>'


def test_mark_equal_texts_have_no_marks():
    assert mark_hypothesis("a b", "a b") == "a b"
    assert mark_reference(f"a{ZWNJ}b c", f"a{ZWNJ}b c") == f"a{ZWNJ}b c"


def test_mark_hypothesis_extra_missing_and_changed_words():
    assert mark_hypothesis("a b", "a x b") == "a <ins>x</ins> b"
    assert mark_hypothesis("a x b", "a b") == "a <del>x</del> b"
    assert mark_hypothesis("cat", "cut") == (
        '<mark class="changed" title="cat">c<b>u</b>t</mark>'
    )


def test_mark_reference_changed_and_missed_words():
    assert mark_reference("cat x", "cut") == (
        '<mark class="changed">c<b>a</b>t</mark> <mark class="missed">x</mark>'
    )
    assert mark_reference("a", "a b") == "a"


def test_mark_zwnj_is_drawn_where_it_differs_and_kept():
    reference = f"می{ZWNJ}روم"
    assert mark_reference(reference, "میروم") == (
        f'<mark class="changed">می<b>{SHOWN}</b>روم</mark>'
    )
    assert mark_hypothesis(reference, "") == f"<del>می{SHOWN}روم</del>"


def test_mark_joins_neighbouring_characters_into_one_run():
    marked = mark_hypothesis("abcd", "xycd")
    assert "<b>xy</b>cd" in marked


def test_mark_escapes_what_was_heard():
    marked = mark_hypothesis("<b>", '"<script>')
    assert "<script" not in marked and "&lt;" in marked
    assert show_zwnj("<") == "&lt;"
