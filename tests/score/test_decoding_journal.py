from espnet_vibevoice.score.decoding_journal import (
    DecodingRecord,
    append_records,
    read_records,
    write_records,
)

SPOKEN = DecodingRecord(
    utterance="a", elapsed_sec=0.25, audio_sec=1.5, batch_size=4, device="cpu"
)
FAILED = DecodingRecord(utterance="b", reason="text: \u0633\u0644\u0627\u0645\tis\nbad")


def test_records_come_back_as_they_were(tmp_path):
    append_records(tmp_path / "new/journal.jsonl", [SPOKEN, FAILED])
    found = read_records(tmp_path / "new/journal.jsonl")
    assert found == {"a": SPOKEN, "b": FAILED}


def test_read_records_last_one_of_an_utterance_counts(tmp_path):
    path = tmp_path / "journal.jsonl"
    append_records(path, [DecodingRecord(utterance="a", reason="first"), SPOKEN])
    assert read_records(path) == {"a": SPOKEN}


def test_read_records_line_cut_off_is_passed_over(tmp_path):
    path = tmp_path / "journal.jsonl"
    append_records(path, [SPOKEN, FAILED])
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert read_records(path) == {"a": SPOKEN}
    write_records(path, read_records(path))
    append_records(path, [FAILED])
    assert path.read_bytes() == whole


def test_read_records_missing_journal_is_empty(tmp_path):
    assert read_records(tmp_path / "journal.jsonl") == {}
