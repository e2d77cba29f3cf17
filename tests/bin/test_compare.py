import csv

import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.score.columns import NATURAL, SYNTHESIS
from espnet_vibevoice.score.error_rates import ZWNJ_READINGS, prepare_text, score_text
from espnet_vibevoice.score.scored_utterance import ScoredUtterance
from espnet_vibevoice.score.stored import write_scores
from espnet_vibevoice.score.summary import MeasureList, SetSummary

FS = 24_000
REFERENCES = {
    f"fa_{number}": f"{word} با دوستانم کنار رودخانه قدم زدیم"
    for number, word in enumerate(("دیروز", "امروز", "دیشب", "صبح", "عصر", "شنبه"))
}
META = {
    "set": "test",
    "decoding": "decode",
    "recognizers": [{"name": "ctc", "kind": "espnet", "model": "best.pth"}],
    "normalizer": {"name": "prepare_text", "version": "1"},
    "speaker_model": None,
    "versa": None,
}


@pytest.fixture
def make_set(tmp_path):
    """Score a set of short tones of which so many last words were not heard."""

    def write(tag, missing=0, **meta):
        wav = tmp_path / f"{tag}.wav"
        write_wav(wav, 0.1 * np.sin(np.arange(FS // 4) / 8).astype(np.float32), FS)
        summary, rows = SetSummary(MeasureList(("ctc",)), 200, 0), []
        for system in (NATURAL, SYNTHESIS):
            for utterance, reference in REFERENCES.items():
                words = reference.split()
                kept = len(words) - (missing if system == SYNTHESIS else 0)
                heard = " ".join(words[:kept])
                one = ScoredUtterance(
                    utterance=utterance,
                    speaker="one",
                    system=system,
                    wav=str(wav),
                    has_audio=True,
                    seconds=0.25,
                    texts={
                        "ctc": {
                            z: score_text(reference, heard, z) for z in ZWNJ_READINGS
                        }
                    },
                    reference=prepare_text(reference),
                    measures={"silence_share": 0.1},
                    faults=(),
                )
                summary.add(one)
                rows.append(one.make_row(("ctc",)))
        folder = tmp_path / "exp" / tag / "decode" / "test" / "score"
        figures = summary.summarize({})
        write_scores(folder, meta=META | meta, summary=figures, rows=rows)
        return tmp_path / "exp" / tag

    return write


def read_tsv(path):
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {(row["measure"], row["system"]): row for row in rows}


def test_compare_two_experiments_writes_table_text_and_page(run, make_set, tmp_path):
    out = tmp_path / "out"
    systems = [make_set("base"), make_set("tuned", missing=1)]
    status, printed, errors = run("compare", *systems, "--out", out)
    assert (status, errors) == (0, "")
    rows = read_tsv(out / "compare.tsv")
    assert rows["word_deletions", "tuned"]["value"] == "6"
    assert rows["cer", "tuned"]["judgement"] == "worse"
    text = (out / "compare.md").read_text("utf-8")
    assert text == printed
    assert "## tuned minus base" in text
    page = (out / "compare.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "tuned minus base" in page
    assert all(reference in page for reference in REFERENCES.values())


def test_compare_votes_are_in_the_tables(run, make_set, tmp_path):
    header = "utterance system_a system_b side_a vote listener seconds_listened time"
    votes = [header.split()] + [
        [utterance, "new", "natural", "A", "system_b", "one", "2.00", "2026-05-01"]
        for utterance in REFERENCES
    ]
    path = tmp_path / "votes.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in votes), encoding="utf-8")
    systems = [make_set("base"), make_set("tuned")]
    options = ["--names", "old", "new", "--votes", path, "--out", tmp_path]
    assert run("compare", *systems, *options)[0] == 0
    voted = read_tsv(tmp_path / "compare.tsv")["preference:natural", "new"]
    assert (voted["value"], voted["n"]) == ("0", "6")
    assert "|new against natural|0|6|0|" in (tmp_path / "compare.md").read_text("utf-8")


def test_compare_twice_writes_the_same(run, make_set, tmp_path):
    systems = [make_set("base"), make_set("tuned", missing=2)]
    contents = []
    for _ in range(2):
        assert run("compare", *systems, "--out", tmp_path / "out")[0] == 0
        files = sorted((tmp_path / "out").iterdir())
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]
    names = [path.name for path in files]
    assert names == ["compare.html", "compare.md", "compare.tsv"]


def test_compare_other_recogniser_is_refused_and_nothing_written(
    run, make_set, tmp_path
):
    other = {"name": "ctc", "kind": "espnet", "model": "other.pth"}
    systems = [make_set("base"), make_set("tuned", recognizers=[other])]
    status, _, errors = run("compare", *systems, "--out", tmp_path / "out")
    assert status == 1
    assert "not scored with the same recogniser" in errors
    assert not (tmp_path / "out").exists()


def test_compare_one_system_is_refused(run, make_set):
    status, _, errors = run("compare", make_set("base"))
    assert status == 1
    assert "got 1 system, want two or more" in errors
