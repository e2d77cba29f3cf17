"""Recognition of a set in parts: resumed, joined, not stopped by one bad wav."""

import dataclasses

import pytest

from espnet_vibevoice.data.audio_source import SourceList
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.score.model_specs import RecognizerSpec
from espnet_vibevoice.score.reason_list import read_reasons
from espnet_vibevoice.score.recognition import run
from espnet_vibevoice.score.recognition.recognizer import RecognizerUnavailable
from espnet_vibevoice.score.recognition.run import collect_recognition, recognize_part

SPEC = RecognizerSpec("fake", "espnet", tag="some/tag")


class FakeRecognizer:
    """Gives the length of what it hears; fails where it is told to."""

    def __init__(self):
        self.heard = []
        self.fails_at = set()
        self.error = "out of memory"

    def recognize(self, waveform, fs):
        if len(waveform) in self.fails_at:
            raise RuntimeError(self.error)
        self.heard.append(len(waveform))
        return f"طول\t{len(waveform)}\n"


@pytest.fixture
def recognizer(monkeypatch):
    fake = FakeRecognizer()
    monkeypatch.setattr(run, "load_recognizer", lambda spec, device: fake)
    return fake


def recognize(scp, out_dir, job=1, spec=SPEC):
    return recognize_part(list(SourceList(scp)), out_dir, job, spec)


def test_recognize_part_again_hears_nothing_again(recognizer, make_set, tmp_path):
    scp, out = make_set(3), tmp_path / "out"
    assert recognize(scp, out) == {}
    assert recognizer.heard == [8000, 8800, 9600]
    recognize(scp, out)
    assert len(recognizer.heard) == 3
    assert collect_recognition(scp, out, 1) == 0
    assert read_table(out / "text") == {
        "u0": "طول 8000",
        "u1": "طول 8800",
        "u2": "طول 9600",
    }
    assert (out / "failures.tsv").read_text() == "utterance\treason\n"


def test_recognize_part_finished_needs_no_model(
    recognizer, make_set, tmp_path, monkeypatch
):
    scp, out = make_set(1), tmp_path / "out"
    recognize(scp, out)
    monkeypatch.delattr(run, "load_recognizer")
    assert recognize(scp, out) == {}


def test_recognize_part_killed_goes_on(recognizer, make_set, tmp_path):
    scp, out = make_set(3), tmp_path / "out"
    recognize(scp, out)
    journal = out / "parts" / "journal.1.tsv"
    content = journal.read_bytes()
    journal.write_bytes(content[: content.index(b"u1") + 20])  # within a line
    recognizer.heard.clear()
    recognize(scp, out)
    assert recognizer.heard == [8800, 9600]
    recognizer.heard.clear()
    recognize(scp, out)
    assert recognizer.heard == []


def test_recognize_part_other_division_into_jobs_keeps_what_is_done(
    recognizer, make_set, tmp_path
):
    scp, out = make_set(3), tmp_path / "out"
    recognize(scp, out)
    lines = scp.read_text().splitlines(keepends=True)
    for job, part in ((1, lines[:1]), (2, lines[1:])):
        (tmp_path / f"{job}.scp").write_text("".join(part))
        recognize(tmp_path / f"{job}.scp", out, job)
    assert len(recognizer.heard) == 3
    collect_recognition(scp, out, 2)
    assert list(read_table(out / "text")) == ["u0", "u1", "u2"]


def test_recognize_part_changed_wav_or_model_is_heard_again(
    recognizer, make_set, tmp_path
):
    scp, out = make_set(2), tmp_path / "out"
    recognize(scp, out)
    (tmp_path / "u0.wav").write_bytes((tmp_path / "u1.wav").read_bytes())
    recognize(scp, out)
    assert recognizer.heard == [8000, 8800, 8800]
    assert read_table(out / "parts" / "text.1")["u0"] == "طول 8800"
    recognize(scp, out, spec=dataclasses.replace(SPEC, inference={"beam_size": 2}))
    assert len(recognizer.heard) == 5
    recognize(scp, out, spec=dataclasses.replace(SPEC, inference={"beam_size": 2}))
    assert len(recognizer.heard) == 5


def test_recognize_part_bad_audio_does_not_stop_the_others(
    recognizer, make_set, tmp_path
):
    scp, out = make_set(4), tmp_path / "out"
    (tmp_path / "u0.wav").unlink()
    (tmp_path / "u1.wav").write_bytes(b"")
    recognizer.fails_at = {9600}
    assert recognize(scp, out).keys() == {"u0", "u1", "u2"}
    assert collect_recognition(scp, out, 1) == 3
    assert read_table(out / "text") == {"u3": "طول 10400"}
    reasons = read_reasons(out / "failures.tsv")
    assert reasons["u0"] == f"unreadable: {tmp_path}/u0.wav: no such file"
    assert reasons["u1"] == f"unreadable: {tmp_path}/u1.wav: 0 bytes"
    assert reasons["u2"] == "recognizer_failed: out of memory"
    recognizer.fails_at = set()
    assert recognize(scp, out).keys() == {"u0", "u1"}  # tried again


def test_recognize_part_model_that_always_fails_raises(recognizer, make_set, tmp_path):
    recognizer.fails_at = {8000, 8800}
    with pytest.raises(
        RuntimeError, match="fails on each of 2 utterances, e.g. u0: rec"
    ):
        recognize(make_set(2), tmp_path / "out")


def test_recognize_part_broken_gpu_stops_the_job(recognizer, make_set, tmp_path):
    scp, out = make_set(3), tmp_path / "out"
    recognizer.fails_at, recognizer.error = {8800}, "CUDA error: unspecified failure"
    with pytest.raises(RuntimeError, match="the GPU failed: .*run the stage again"):
        recognize(scp, out)
    assert recognizer.heard == [8000]
    recognizer.fails_at = set()
    assert recognize(scp, out) == {}
    assert recognizer.heard == [8000, 8800, 9600]


def test_recognize_part_unavailable_leaves_the_reason(make_set, tmp_path, asr_spec):
    out = tmp_path / "out"
    scp = make_set(1)
    gone = dataclasses.replace(asr_spec, model_file="gone.pth")
    with pytest.raises(
        RecognizerUnavailable, match="tiny .gone.pth.: gone.pth: no such"
    ):
        recognize(scp, out, spec=gone)
    assert (out / "unavailable.txt").read_text() == "gone.pth: no such file\n"
    recognize(scp, out, spec=asr_spec)
    assert not (out / "unavailable.txt").exists()
    assert list(read_table(out / "parts" / "text.1")) == ["u0"]


def test_collect_unfinished_job_raises(recognizer, make_set, tmp_path):
    scp, out = make_set(2), tmp_path / "out"
    recognize(scp, out)
    with pytest.raises(FileNotFoundError, match="text.2 is missing: recognition job 2"):
        collect_recognition(scp, out, 2)


def test_collect_lost_utterances_raise(recognizer, make_set, tmp_path):
    scp, out = make_set(2), tmp_path / "out"
    recognize(scp, out)
    scp.write_text(scp.read_text() + "u9 gone.wav\n")
    with pytest.raises(ValueError, match=r"no job has recognised: 1 \(u9\)"):
        collect_recognition(scp, out, 1)
