import copy
import os

import pytest

from espnet_vibevoice.score.columns import COUNTS
from espnet_vibevoice.score.results import replace_part, update_results

META = {
    "set": "test",
    "decoding": "decode_best",
    "utterances": 25,
    "date": "2026-01-02 03:04:05 UTC",
    "command": "./run.sh --stage 7",
    "git_commit": {"hash": "abc", "date": "2026-01-01"},
    "recognizers": [{"name": "ctc", "kind": "espnet", "model": "asr/best.pth"}],
    "real_time_factor": 0.5,
    "first_audio_sec": {"median": 0.25, "p90": 0.3, "n": 8},
    "versions": dict.fromkeys(
        ("python", "espnet", "torch", "transformers", "espnet_vibevoice"), "1.0"
    ),
}


def figure(value, low=None, high=None, n=25, **more):
    return {"value": value, "low": low, "high": high, "n": n, **more}


LACKING = figure(None, n=0, reason="no speaker model is configured")
SUMMARY = {
    "cer": {"natural": figure(0.01, 0.0, 0.02), "synthesis": figure(0.1, 0.08, 0.12)},
    **{
        name: dict.fromkeys(("natural", "synthesis"), figure(count))
        for name, count in zip(COUNTS, (200, 8, 2, 10) * 2, strict=True)
    },
    "mcd": {"synthesis": figure(5.25, 5.0, 5.5, n=24)},
    "speaker_similarity": {"synthesis": LACKING},
}


def test_update_results_new_file_has_environments_table_and_command(tmp_path):
    path = tmp_path / "RESULTS.md"
    assert update_results(path, META, SUMMARY)
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == "# RESULTS"
    assert "- Git hash: `abc`" in lines
    assert "## decode_best, test" in lines
    head = "|dataset|system|Snt|Chr|Corr|Sub|Del|Ins|Err|95 % interval|"
    assert head in lines
    row = "|test|synthesis|25|200|91.00|4.00|5.00|1.00|10.00|8.00 to 12.00|"
    assert row in lines
    assert "|MCD (dB)|-|-|5.25 (5.00 to 5.50), n 24|" in lines
    assert "- speaker similarity of synthesis: no speaker model is configured" in lines
    assert "./run.sh --stage 7" in lines
    assert "Real-time factor of decoding: 0.500." in text
    assert "First audio after 0.250 s (median)." in text


def test_update_results_again_changes_nothing(tmp_path):
    path = tmp_path / "RESULTS.md"
    update_results(path, META, SUMMARY)
    os.utime(path, ns=(1, 1))
    assert not update_results(path, META, SUMMARY)
    assert path.stat().st_mtime_ns == 1


def test_update_results_replaces_only_its_own_section(tmp_path):
    path = tmp_path / "RESULTS.md"
    path.write_text("# My model\n\nSounds good.\n", encoding="utf-8")
    update_results(path, META, SUMMARY)
    update_results(path, META | {"set": "other"}, SUMMARY)
    with path.open("a", encoding="utf-8") as file:
        file.write("\nWritten below.\n")
    better = copy.deepcopy(SUMMARY)
    better["cer"]["synthesis"]["value"] = 0.05
    update_results(path, META, better)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# My model\n\nSounds good.\n")
    assert text.endswith("\nWritten below.\n")
    assert text.count("## Environments") == text.count("## decode_best, test") == 1
    assert "|test|synthesis|25|200|91.00|4.00|5.00|1.00|5.00|8.00 to 12.00|" in text
    assert "|other|synthesis|25|200|91.00|4.00|5.00|1.00|10.00|8.00 to 12.00|" in text


def test_update_results_without_recogniser_or_checkout_says_so(tmp_path):
    path = tmp_path / "RESULTS.md"
    meta = META | {"recognizers": [], "git_commit": None, "real_time_factor": None}
    meta["first_audio_sec"] = None
    update_results(path, meta, {"mcd": SUMMARY["mcd"]})
    text = path.read_text(encoding="utf-8")
    assert "Recogniser: none." in text
    assert "- Git hash: `none: not a Git checkout`" in text
    assert "Real-time" not in text and "CER" not in text


@pytest.mark.parametrize(
    "text",
    [
        "<!-- begin x -->\n",
        "<!-- end x -->\n<!-- begin x -->\n",
        "<!-- begin x -->\n<!-- end x -->\n" * 2,
    ],
)
def test_replace_part_damaged_marks_raise(tmp_path, text):
    with pytest.raises(ValueError, match="want the marks .* once each"):
        replace_part(text, "x", "new", tmp_path)


def test_replace_part_text_without_newline_at_its_end_stays_whole(tmp_path):
    text = replace_part("mine", "x", "new", tmp_path)
    mark = "<!-- begin x: each scoring writes this part anew -->"
    assert text == f"mine\n\n{mark}\nnew\n<!-- end x -->\n"


def test_update_results_several_sets_keep_the_newest_environments(tmp_path):
    path = tmp_path / "RESULTS.md"
    older = META | {"set": "other", "date": "2025-12-31 00:00:00 UTC"}
    for _ in range(2):
        for meta in (META, older):
            update_results(path, meta, SUMMARY)
    os.utime(path, ns=(1, 1))
    text = path.read_text(encoding="utf-8")
    assert f"- date: `{META['date']}`" in text
    assert f"Scored {older['date']}: 25 utterances." in text
    assert not update_results(path, META, SUMMARY)
    assert path.stat().st_mtime_ns == 1
    update_results(path, META | {"date": "2026-02-01 00:00:00 UTC"}, SUMMARY)
    assert "- date: `2026-02-01 00:00:00 UTC`" in path.read_text(encoding="utf-8")
