import numpy as np
import pytest

from espnet_vibevoice.text.token_rate import (
    choose_window,
    format_report,
    measure_token_rate,
    needed_text_windows,
    smallest_text_window,
    summarize,
)

TOKENS = {"a": 10, "b": 20, "c": 5}
FRAMES = {"a": 15, "b": 15, "c": 2}
COUNTS, LENGTHS = (np.array(list(x.values())) for x in (TOKENS, FRAMES))


def make_rate(tokens=TOKENS, frames=FRAMES, **overrides):
    options = {"frame_rate_hz": 7.5, "text_window": 5, "speech_window": 6} | overrides
    return measure_token_rate(tokens, frames, **options)


@pytest.mark.parametrize(
    ("tokens", "frames", "lags"),
    [
        (10, 12, False),  # 5 read for each 6 frames: exactly enough
        (11, 12, True),
        (5, 1, False),  # all read before the first frame
        (6, 6, True),
        (6, 8, False),
    ],
)
def test_token_rate_lagging_known_answers(tokens, frames, lags):
    assert make_rate({"u": tokens}, {"u": frames}).lagging == ["u"] * lags


def test_needed_text_windows_reading_step_by_step_agrees():
    rng = np.random.default_rng(0)
    tokens, frames = rng.integers(1, 60, 200), rng.integers(1, 60, 200)
    for count, length, needed in zip(
        tokens, frames, needed_text_windows(tokens, frames, 6), strict=True
    ):
        keeps_up = [w >= count or w * length >= 6 * count for w in range(1, 61)]
        assert needed == 1 + keeps_up.index(True)


def test_measure_token_rate_known_answers():
    rate = make_rate()
    assert (rate.utt_ids, rate.limit) == (["a", "b", "c"], 6.25)
    np.testing.assert_allclose(rate.per_second, [5.0, 10.0, 18.75])
    assert rate.lagging == ["b"]
    assert rate.lagging_share == pytest.approx(1 / 3)


def test_measure_token_rate_names_the_worst_first():
    rate = make_rate(text_window=3)
    assert rate.lagging == ["c", "b", "a"]


def test_measure_token_rate_no_utterance_raises():
    with pytest.raises(ValueError, match="no utterance"):
        make_rate({}, {})


@pytest.mark.parametrize("window", ["many", 0, 2.5])
def test_measure_token_rate_wrong_window_raises(window):
    with pytest.raises(ValueError, match=f"text_window is {window!r}: set it to"):
        make_rate(text_window=window)


@pytest.mark.parametrize(("share", "window"), [(0.0, 8), (0.34, 5), (1.0, 1)])
def test_smallest_text_window_is_the_first_that_keeps_up(share, window):
    # a needs 10 * 6 / 15 = 4, b needs 20 * 6 / 15 = 8, c its 5 at once
    assert smallest_text_window(COUNTS, LENGTHS, 6, share) == window
    assert make_rate(text_window=window).lagging_share <= share


def test_smallest_text_window_short_speech_takes_the_whole_text():
    assert smallest_text_window(np.array([40]), np.array([1]), 6, 0.0) == 40


@pytest.mark.parametrize(("share", "window"), [(0.0, 8), (0.34, 5), (1.0, 5)])
def test_choose_window_is_the_released_one_or_larger(share, window):
    assert choose_window(COUNTS, LENGTHS, 6, share) == window
    rate = make_rate(text_window="auto", max_lagging_share=share)
    assert rate.text_window == window


def test_summarize_is_one_line_with_all_figures():
    assert summarize(make_rate(), "tr") == (
        "tr: 3 utterances, 35 tokens, 32 frames; tokens per second: median 10.00; "
        "window 5/6 (as released) reads 6.25; text lags behind in 1 utterances "
        "(33.3 %), first b"
    )
    assert summarize(make_rate(text_window=8), "tr").endswith(
        "window 8/6 (released weights know 5/6) reads 10.00; text lags behind in 0 "
        "utterances (0.0 %)"
    )


def test_format_report_has_quantiles_and_names_both_ends():
    frames = {f"u{index}": 15 for index in range(1, 22)}
    rate = make_rate({f"u{index}": index for index in range(1, 22)}, frames)
    first, quantiles, most, fewest = format_report(rate, "tr")
    assert first == summarize(rate, "tr")
    assert quantiles == (
        "  quantiles of tokens per second: 1 % 0.60, 5 % 1.00, 25 % 3.00, 50 % 5.50, "
        "75 % 8.00, 95 % 10.00, 99 % 10.40"
    )
    assert most.startswith("  most tokens per second: u21 10.50, u20 10.00, ")
    assert most.count("u") == 10 and most.endswith("u12 6.00")
    assert fewest == (
        "  fewest tokens per second: u1 0.50, u2 1.00, u3 1.50, u4 2.00, u5 2.50"
    )
