import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.score.stored import write_scores

META = {
    "set": "test",
    "decoding": "decode",
    "experiment": "tts",
    "utterances": 1,
    "date": "2026-01-01",
}


@pytest.fixture
def score_dir(tmp_path):
    wav = tmp_path / "a.wav"
    write_wav(wav, np.sin(np.arange(12000)), 24000)
    row = {"utterance": "u1", "system": "synthesis", "status": "ok", "wav": str(wav)}
    folder = tmp_path / "score"
    write_scores(folder, meta=META, summary={}, rows=[row])
    return folder


def test_write_report_command_writes_beside_the_scores(run, score_dir):
    status, out, _ = run("write_report", score_dir)
    report = score_dir / "report.html"
    assert status == 0
    assert out.startswith(f"{report}: 0.1 MB. All 1 utterances") or "0.0 MB" in out
    assert "<audio" in report.read_text(encoding="utf-8")


def test_write_report_command_options_are_used(run, score_dir, tmp_path):
    status, out, _ = run(
        "write_report", score_dir, "--out", tmp_path / "x" / "y.html", "--max_utts", 0
    )
    assert status == 0 and "0 of 1 utterances are shown (0 %)" in out
    assert "<audio" not in (tmp_path / "x" / "y.html").read_text(encoding="utf-8")
    assert not (score_dir / "report.html").exists()


def test_write_report_command_without_scores_fails(run, tmp_path):
    status, _, err = run("write_report", tmp_path)
    assert status == 1
    assert err.startswith("error: ") and "Score the set first" in err
