import numpy as np
import pytest

from espnet_vibevoice.text.token_rate import (
    format_report,
    lags_behind,
    measure_token_rate,
    smallest_text_window,
)

TOKENS = {"a": 10, "b": 20, "c": 5}
FRAMES = {"a": 15, "b": 15, "c": 2}


def make_rate(**overrides):
    options = {"frame_rate_hz": 7.5, "text_window": 5, "speech_window": 6} | overrides
    return measure_token_rate(TOKENS, FRAMES, **options)


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
def test_lags_behind_known_answers(tokens, frames, lags):
    assert lags_behind(tokens, frames, text_window=5, speech_window=6) is lags


def test_measure_token_rate_known_answers():
    rate = make_rate()
    assert (rate.utterances, rate.tokens, rate.frames) == (3, 35, 32)
    np.testing.assert_allclose(rate.per_second, [5.0, 10.0, 18.75])
    assert rate.lagging == ["b"]
    assert rate.lagging_share == pytest.approx(1 / 3)


def test_measure_token_rate_no_utterance_raises():
    with pytest.raises(ValueError, match="no utterance"):
        measure_token_rate({}, {}, frame_rate_hz=7.5, text_window=5, speech_window=6)


@pytest.mark.parametrize(("share", "window"), [(0.0, 8), (0.34, 5), (1.0, 1)])
def test_smallest_text_window_is_the_first_that_keeps_up(share, window):
    # a needs 10 * 6 / 15 = 4, b needs 20 * 6 / 15 = 8, c its 5 at once
    assert smallest_text_window(TOKENS, FRAMES, 6, share) == window
    rate = make_rate(text_window=window)
    assert rate.lagging_share <= share


def test_smallest_text_window_short_speech_takes_the_whole_text():
    assert smallest_text_window({"a": 40}, {"a": 1}, 6, 0.0) == 40


def test_format_report_is_one_line_with_all_figures():
    rate = make_rate()
    assert format_report(rate, "tr") == (
        "tr: 3 utterances, 35 tokens, 32 frames; tokens per second: median 10.00, "
        "1 % below 5.10, 1 % above 18.57; window 5/6 reads 0.83 tokens a frame; text "
        "lags behind in 1 utterances (33.3 %)"
    )
