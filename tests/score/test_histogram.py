import numpy as np
import pytest

from espnet_vibevoice.score import histogram

VALUES = {
    "train": np.concatenate([np.full(900, 3.0), np.full(99, 7.0), [500.0]]),
    "test": np.array([2.0, 4.0]),
}


@pytest.fixture
def axes(monkeypatch, tmp_path):
    """The axes that are drawn, as matplotlib holds them."""
    made = []

    class Figure(histogram.Figure):
        def savefig(self, *args, **options):
            made.extend(self.axes)
            super().savefig(*args, **options)

    monkeypatch.setattr(histogram, "Figure", Figure)
    draw(tmp_path / "made" / "rate.png")
    return made


def draw(path):
    options = {"limit": 6.25, "limit_label": "window 5/6", "quantity": "tokens"}
    histogram.draw_histograms(VALUES, path, **options)


def test_histograms_count_each_utterance_once(axes):
    heights = [sum(bar.get_height() for bar in axis.patches) for axis in axes]
    assert heights == [1000, 2]


def test_histograms_far_values_are_in_the_last_bar_and_the_label_says_so(axes):
    low, high = axes[0].get_xlim()
    assert low == 0 and 7 < high < 8
    assert axes[0].patches[-1].get_height() == 1
    assert axes[1].get_xlabel() == "tokens (last bar: or more)"


def test_histograms_titles_and_line_tell_the_limit(axes):
    assert axes[0].get_title(loc="left") == (
        "train: 1000 utterances, 100 above the line (10.0 %)"
    )
    assert axes[1].get_title(loc="left").startswith("test: 2 utterances, 0 above")
    assert [line.get_xdata()[0] for axis in axes for line in axis.lines] == [6.25] * 2
    assert axes[0].get_legend().get_texts()[0].get_text() == "window 5/6"


def test_histograms_same_values_give_same_bytes_and_leave_nothing_else(tmp_path):
    for name in ("a.png", "b.png"):
        draw(tmp_path / name)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
