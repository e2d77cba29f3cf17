import re

import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.score.report.utterances import (
    build_clips,
    build_reference,
    build_utterance,
    choose_tick,
)
from espnet_vibevoice.score.stored import read_scores


@pytest.fixture
def rows(make_scores):
    scores = read_scores(make_scores())
    return {row["system"]: row for row in scores.rows if row["utterance"] == "u1"}


def test_build_clips_share_one_time_axis(rows):
    rows["synthesis"]["wav"] = rows["synthesis"]["wav"].replace("u1", "u2")  # 1.6 s
    write_wav(rows["natural"]["wav"], np.full(9600, 0.1), 24000)  # 0.4 s
    made = "".join(build_clips(rows))
    assert re.findall('style="width:([0-9.]+)%"', made) == ["25.00", "50.00", "100.00"]
    assert made.count('preload="none"') == 3
    assert re.findall('data-name="([a-z]+)"', made) == list(rows)


def test_build_clips_broken_recording_tells_why_and_others_stay(rows, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    rows["natural"] |= {"wav": str(broken)}
    rows["resynthesis"] |= {"wav": str(tmp_path / "gone.wav"), "reason": "lost <it>"}
    made = build_clips(rows)
    assert "unreadable" in made[0] and "<audio" not in made[0]
    assert "lost &lt;it&gt;" in made[1]
    assert "<audio" in made[2]


def test_build_utterance_has_what_it_is_sorted_by(rows):
    made = build_utterance(rows, 7, main=rows["synthesis"], keys={"cer0": "0.5"})
    cer = rows["synthesis"]["cer"]
    for part in (
        'data-id="u1"',
        'data-order="7"',
        f'data-cer="{cer}"',
        'data-cer0="0.5"',
        'data-seconds="0.800"',
        'data-faults="cut repeated"',
    ):
        assert part in made


def test_build_utterance_nothing_recognised_is_said(rows):
    rows["synthesis"] |= {"hypothesis": "", "cer": "1.0"}
    made = build_utterance(rows, 1, main=rows["synthesis"])
    assert "nothing recognised" in made and "<mark" not in made


def test_build_reference_without_text_tells_why(rows):
    row = rows["natural"] | {"reference": "", "reason": "no reference text for u1"}
    assert "no reference text for u1" in build_reference(row, is_marked=True)


def test_choose_tick_leaves_lines_apart():
    assert [choose_tick(s) for s in (0.5, 15, 16, 60, 400)] == [1, 1, 2, 5, 40]
