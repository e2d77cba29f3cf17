import io

from espnet_vibevoice.score.countdown import Countdown


def count(times):
    """Count one item at each of the given moments; return what was said."""
    stream, clock = io.StringIO(), iter([0.0, *times])
    countdown = Countdown("measuring", len(times), stream, lambda: next(clock))
    for _ in times:
        countdown.update()
    return stream.getvalue().splitlines()


def test_countdown_tells_time_used_and_left():
    assert count([5, 10, 15, 20]) == [
        "measuring: 2/4 (50%), 10 seconds used, 10 seconds left",
        "measuring: 4/4 (100%), 20 seconds used, 0 seconds left",
    ]


def test_countdown_short_step_is_silent():
    assert count([1, 2, 3]) == []
