import json
import os

import numpy as np
import pytest

from espnet_vibevoice.data.audio import is_whole_wav, write_wav
from espnet_vibevoice.data.kaldi import read_lines, read_table, write_table
from espnet_vibevoice.score.decoded_audio import inspect_wav
from espnet_vibevoice.score.decoding import (
    CollectedDecoding,
    collect_decoding,
    divide_decoding,
    summarize_decoding,
)
from espnet_vibevoice.score.decoding_journal import (
    DecodingRecord,
    append_records,
    read_records,
)

FS = 24000
TEXT = {f"u{index}": "سلام" for index in range(5)}


def make_noise(seconds, level=0.1):
    return np.random.default_rng(0).normal(0, level, round(seconds * FS))


@pytest.fixture
def text(tmp_path):
    write_table(tmp_path / "text", TEXT)
    return tmp_path / "text"


@pytest.fixture
def out_dir(tmp_path):
    """What two jobs left when they were killed: u0, u1 and half of u3."""
    folder = tmp_path / "out"
    for job, utt_id in ((1, "u0"), (1, "u1"), (2, "u3")):
        write_wav(folder / f"log/output.{job}/wav/{utt_id}.wav", make_noise(1), FS)
        picture = folder / f"log/output.{job}/probs/{utt_id}.png"
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(utt_id.encode())
    os.truncate(folder / "log/output.2/wav/u3.wav", 9000)
    (folder / "log/output.1/probs/u1.png").unlink()
    (folder / "log/keys.7.scp").write_text("of an earlier division\n")
    return folder


def list_files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_divide_decoding_keeps_whole_wavs_with_their_pictures(text, out_dir):
    whole = (out_dir / "log/output.1/wav/u0.wav").read_bytes()
    assert divide_decoding(text, out_dir, nj=2) == 2
    assert list_files(out_dir) == [
        "log/keys.1.scp",
        "log/keys.2.scp",
        "probs/u0.png",
        "wav/u0.wav",
        "wav/u1.wav",
    ]
    assert (out_dir / "wav/u0.wav").read_bytes() == whole
    assert (out_dir / "probs/u0.png").read_bytes() == b"u0"


@pytest.mark.parametrize(("nj", "jobs"), [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_divide_decoding_jobs_cover_the_rest_once(text, out_dir, nj, jobs):
    assert divide_decoding(text, out_dir, nj) == jobs
    keys = [
        line
        for job in range(1, jobs + 1)
        for line in read_lines(out_dir / f"log/keys.{job}.scp")
    ]
    assert keys == ["u2 سلام", "u3 سلام", "u4 سلام"]
    assert len(list((out_dir / "log").iterdir())) == jobs


def test_divide_decoding_again_loses_nothing(text, out_dir):
    divide_decoding(text, out_dir, nj=2)
    before = list_files(out_dir)
    assert divide_decoding(text, out_dir, nj=2) == 2
    assert list_files(out_dir) == before


def test_divide_decoding_nothing_left_gives_no_job(text, out_dir):
    for utt_id in TEXT:
        write_wav(out_dir / f"log/output.3/wav/{utt_id}.wav", make_noise(0.1), FS)
    assert divide_decoding(text, out_dir, nj=2) == 0
    assert list_files(out_dir / "log") == []
    assert list_files(out_dir / "wav") == [f"{utt_id}.wav" for utt_id in TEXT]


def test_divide_decoding_first_run_hands_out_all(text, tmp_path):
    assert divide_decoding(text, tmp_path / "new", nj=2) == 2
    assert len(read_lines(tmp_path / "new/log/keys.1.scp")) == 3
    assert len(read_lines(tmp_path / "new/log/keys.2.scp")) == 2


def note_failure(folder, utt_id, reason="text: it is empty"):
    append_records(folder, [DecodingRecord(utterance=utt_id, reason=reason)])


def read_keys(out_dir):
    paths = sorted((out_dir / "log").glob("keys.*.scp"))
    return [line.split()[0] for path in paths for line in read_lines(path)]


def test_divide_decoding_failed_utterances_are_tried_again_only_if_asked(text, out_dir):
    note_failure(out_dir / "log/output.2/journal.jsonl", "u3")
    note_failure(out_dir / "log/output.2/journal.jsonl", "u4")
    for _ in range(2):  # the second time the job folders are gone
        divide_decoding(text, out_dir, nj=2)
        assert read_keys(out_dir) == ["u2"]
    divide_decoding(text, out_dir, nj=2, retry_failed=True)
    assert read_keys(out_dir) == ["u2", "u3", "u4"]


def test_divide_decoding_failed_are_tried_again_if_no_other_was_spoken(text, tmp_path):
    for utt_id in TEXT:
        note_failure(tmp_path / "new/log/output.1/journal.jsonl", utt_id)
    assert divide_decoding(text, tmp_path / "new", nj=1) == 1
    assert read_keys(tmp_path / "new") == list(TEXT)


def test_divide_decoding_damaged_wav_is_decoded_again(text, out_dir):
    divide_decoding(text, out_dir, nj=1)
    os.truncate(out_dir / "wav/u1.wav", 9000)
    divide_decoding(text, out_dir, nj=1)
    assert read_keys(out_dir) == ["u1", "u2", "u3", "u4"]


def test_divide_decoding_later_success_takes_the_place_of_a_failure(text, out_dir):
    journal = out_dir / "log/output.1/journal.jsonl"
    note_failure(out_dir / "log/journal.jsonl", "u0")
    append_records(journal, [DecodingRecord(utterance="u0", audio_sec=1.0)])
    divide_decoding(text, out_dir, nj=1)
    assert read_records(out_dir / "log/journal.jsonl")["u0"].audio_sec == 1.0


def test_collect_decoding_missing_wavs_are_listed_with_reasons(out_dir):
    note_failure(out_dir / "log/output.2/journal.jsonl", "u2", "two\n words\tmore")
    collected = collect_decoding(TEXT, out_dir)
    assert [utterance.utt_id for utterance in collected.decoded] == ["u0", "u1"]
    ended = "its job ended before it: run stage 7 again"
    assert read_lines(out_dir / "failures.tsv") == [
        "utterance\treason",
        "u2\ttwo words more",
        f"u3\t{ended}",
        f"u4\t{ended}",
    ]
    assert list(read_table(out_dir / "wav/wav.scp")) == ["u0", "u1"]
    assert summarize_decoding(collected).endswith("; 3 failed, see failures.tsv")


def test_collect_decoding_unreadable_wav_is_listed(out_dir):
    divided = out_dir / "wav"
    write_wav(divided / "u4.wav", make_noise(1), FS)
    os.truncate(divided / "u4.wav", 20)
    collected = collect_decoding(TEXT, out_dir)
    assert collected.failures["u4"].startswith(("unreadable", "truncated"))


def test_collect_decoding_complete_set_loses_its_list_of_failures(out_dir):
    collect_decoding(TEXT, out_dir)
    assert (out_dir / "failures.tsv").is_file()
    for utt_id in ("u2", "u3", "u4"):
        write_wav(out_dir / f"wav/{utt_id}.wav", make_noise(1), FS)
    assert collect_decoding(TEXT, out_dir).failures == {}
    assert not (out_dir / "failures.tsv").exists()


def test_collect_decoding_nothing_decoded_raises(tmp_path):
    message = "none of 5 utterances was decoded into .*: u0: its job ended.* 2 more"
    with pytest.raises(RuntimeError, match=message):
        collect_decoding(TEXT, tmp_path)
    assert len(read_lines(tmp_path / "failures.tsv")) == 6
    assert not (tmp_path / "wav/wav.scp").exists()


def test_collect_decoding_writes_tables_in_order(out_dir):
    for utt_id in ("u2", "u3", "u4"):
        write_wav(out_dir / f"log/output.1/wav/{utt_id}.wav", make_noise(0.5), FS)
    (out_dir / "log/output.2/wav/u3.wav").unlink()
    timed = [
        DecodingRecord(
            utterance=utt_id,
            elapsed_sec=seconds,
            audio_sec=audio,
            first_audio_sec=first,
            batch_size=4,
            device="cpu, 1 threads",
        )
        for utt_id, seconds, audio, first in (
            ("u0", 0.5, 1.0, 0.2),
            ("u1", 0.1, 1.0, None),
            ("u2", 0.25, 0.5, 0.4),
        )
    ]
    append_records(out_dir / "log/output.1/journal.jsonl", timed)
    collected = collect_decoding(TEXT, out_dir)
    assert [utterance.utt_id for utterance in collected.decoded] == list(TEXT)
    scp = read_table(out_dir / "wav/wav.scp")
    assert scp == {utt_id: f"{out_dir}/wav/{utt_id}.wav" for utt_id in TEXT}
    assert all(is_whole_wav(path) for path in scp.values())
    rows = [line.split("\t") for line in read_lines(out_dir / "decoding.tsv")]
    names = "utterance seconds level_dbfs peak faults real_time_factor"
    assert rows[0] == names.split()
    assert rows[1][:2] == ["u0", "1.000"] and rows[1][2].startswith("-20.")
    assert [row[-1] for row in rows[1:]] == ["0.500", "0.100", "0.500", "", ""]
    totals = json.loads((out_dir / "decoding.json").read_text())
    assert (totals["utterances"], totals["failed"], totals["seconds"]) == (5, 0, 3.5)
    assert totals["real_time_factor"] == pytest.approx(0.85 / 2.5)
    first = {"median": pytest.approx(0.3), "p90": pytest.approx(0.38), "n": 2}
    assert totals["first_audio_sec"] == first
    assert (totals["batch_size"], totals["device"]) == (4, "cpu, 1 threads")


def test_collect_decoding_without_records_has_no_speed(out_dir):
    collect_decoding(TEXT, out_dir)
    totals = json.loads((out_dir / "decoding.json").read_text())
    assert totals["real_time_factor"] is None
    assert totals["first_audio_sec"] == {"median": None, "p90": None, "n": 0}


def test_summarize_decoding_counts_each_fault(tmp_path):
    decoded = []
    for index, (seconds, level) in enumerate([(3.0, 0.0), (1.0, 0.1), (0.05, 0.1)]):
        path = tmp_path / f"{index}.wav"
        write_wav(path, make_noise(seconds, level), FS)
        decoded.append(inspect_wav(str(index), path, "سلام"))
    assert summarize_decoding(CollectedDecoding(decoded, {})) == (
        "3 utterances, 0.07 minutes; 1 silent, 0 clipped, 1 short, 1 long"
    )
