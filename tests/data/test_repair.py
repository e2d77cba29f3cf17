import os

import pytest

from espnet_vibevoice.data.data_dir import validate_data_dir
from espnet_vibevoice.data.dropped import Dropped, read_dropped
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.data.repair import repair_data_dir


def make_tiny_data_dir(path, **files):
    """Data directory of a, b and c; keywords replace or add files (``.`` as _)."""
    tables = {
        "wav.scp": b"a /w/a.wav\nb /w/b.wav\nc /w/c.wav\n",
        "text": "a متن\nb دو\nc سه\n".encode(),
        "utt2spk": b"a s1\nb s1\nc s2\n",
    }
    tables |= {name.replace("_", "."): content for name, content in files.items()}
    path.mkdir(parents=True)
    for name, content in tables.items():
        (path / name).write_bytes(content)
    return path


def read_files(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def find_reasons(report):
    return {utt_id: entry.reason for utt_id, entry in report.dropped.items()}


def test_repair_good_directory_changes_nothing_but_spk2utt(tmp_path):
    path = make_tiny_data_dir(tmp_path / "d")
    before = read_files(path)
    report = repair_data_dir(path, max_dropped=0.0)
    assert (report.num_kept, report.dropped, report.mended) == (3, {}, [])
    assert read_files(path) == before | {"spk2utt": b"s1 a b\ns2 c\n"}


def test_repair_keeps_intersection_and_reports(tmp_path):
    path = make_tiny_data_dir(
        tmp_path / "d",
        wav_scp=b"c /w/c.wav\na /w/a.wav\nx /w/x.wav\n",
        text=b"a x\nb y\nc\n",
        spk2utt=b"wrong a\n",
    )
    report = repair_data_dir(path)
    assert report.dropped == {
        "b": Dropped("missing_audio", "missing in wav.scp"),
        "c": Dropped("empty_text", "empty text"),
        "x": Dropped("missing_text", "missing in text"),
    }
    assert read_dropped(path / "dropped.tsv") == report.dropped
    assert validate_data_dir(path) == 1
    assert read_table(path / "spk2utt") == {"s1": "a"}


def test_repair_nothing_in_common_raises_and_changes_nothing(tmp_path):
    path = make_tiny_data_dir(tmp_path / "d", text=b"x 1\n")
    before = read_files(path)
    with pytest.raises(ValueError, match="no utterance is in all of"):
        repair_data_dir(path)
    assert read_files(path) == before


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (b"\xef\xbb\xbfa x\nb y\nc z\n", "text: byte order mark removed: 1"),
        (b"a x\r\nb y\r\nc z\n", "text: CRLF turned into LF: 2"),
        (b"a x\n\nb y\n \t\nc z\n", "text: empty line removed: 2"),
        (b"a x\nb y\na x\nc z\n", "text: repeated line removed: 1"),
    ],
)
def test_repair_mends_without_loss_and_says_so(tmp_path, text, note):
    path = make_tiny_data_dir(tmp_path / "d", text=text)
    report = repair_data_dir(path, max_dropped=0.0)
    assert [line.removeprefix(f"{tmp_path}/d/") for line in report.mended] == [note]
    assert read_table(path / "text") == {"a": "x", "b": "y", "c": "z"}
    assert repair_data_dir(path).mended == []


@pytest.mark.parametrize(
    ("files", "dropped"),
    [
        ({"text": b"a x\nb y\nb q\nc z\n"}, {"b": "duplicate_id"}),
        ({"wav_scp": b"a 1\nb 2\nb 3\nc 4\n"}, {"b": "duplicate_id"}),
        ({"text": b"a x\nb caf\xe9\nc z\n"}, {"b": "not_utf8"}),
        ({"text": b"a x\n\xe9 y\nb y\nc z\n"}, {"\\xe9": "not_utf8"}),
        ({"text": b"a x\n c z\nb y\n"}, {"text:2": "no_id", "c": "missing_text"}),
        ({"utt2spk": b"a s1\nb s 1\nc s2\n"}, {"b": "bad_speaker"}),
        ({"utt2spk": b"a s1\nb s\r1\nc s2\n"}, {"b": "bad_speaker"}),
        ({"wav_scp": b"a 1\nb 2\0\nc 3\n"}, {"b": "null_byte"}),
        ({"utt2dur": b"a 1\nc 1\n"}, {"b": "incomplete"}),
        ({"text": b"a x\nb\nc z\n", "text_raw": "a x\nb \U0001f600\nc z\n".encode()},
         {"b": "no_letters"}),
    ],
)  # fmt: skip
def test_repair_drops_by_name_and_keeps_the_rest(tmp_path, files, dropped):
    path = make_tiny_data_dir(tmp_path / "d", **files)
    report = repair_data_dir(path)
    assert find_reasons(report) == dropped
    assert list(read_table(path / "text")) == sorted({"a", "b", "c"} - dropped.keys())
    assert validate_data_dir(path) == report.num_kept


def test_repair_tab_in_id_is_named_and_spares_the_id_before_the_tab(tmp_path):
    path = make_tiny_data_dir(
        tmp_path / "d",
        wav_scp=b"a /w/a.wav\na\t1 /w/a1.wav\nb /w/b.wav\nc /w/c.wav\n",
        text=b"a x\na\t1 y\nb y\nc z\n",
        utt2spk=b"a s1\na\t1 s1\nb s1\nc s2\n",
    )
    report = repair_data_dir(path)
    assert find_reasons(report) == {"a\t1": "tab_in_id"}
    assert list(read_dropped(path / "dropped.tsv")) == ["a\\t1"]
    assert read_table(path / "text") == {"a": "x", "b": "y", "c": "z"}


def test_repair_table_separated_by_tabs_is_good(tmp_path):
    path = make_tiny_data_dir(
        tmp_path / "d", text=b"a\tx y\nb\ty\nc\tz\n", utt2spk=b"a\ts\nb\ts\nc\ts\n"
    )
    assert repair_data_dir(path).dropped == {}
    assert read_table(path / "text")["a"] == "x y"


def test_repair_above_limit_raises_lists_and_changes_no_table(tmp_path):
    path = make_tiny_data_dir(tmp_path / "d", text=b"a x\nb\nc z\n")
    before = read_files(path)
    message = r"1 of 3 .*limit is 1.00%: b: empty_text.*All are in .*dropped.tsv"
    with pytest.raises(ValueError, match=message):
        repair_data_dir(path, max_dropped=0.01)
    after = read_files(path)
    assert after.pop("dropped.tsv") and after == before


def test_repair_again_or_after_a_kill_gives_same_bytes(tmp_path):
    damage = {
        "text": b"a x\nb caf\xe9\nc z\n",
        "wav_scp": b"a 1\nb 2\nc 3\nq 4\n",
    }
    whole = make_tiny_data_dir(tmp_path / "whole", **damage)
    repair_data_dir(whole)
    expected = read_files(whole)
    repair_data_dir(whole)
    assert read_files(whole) == expected
    # Killed when the list and the first table were written.
    killed = make_tiny_data_dir(tmp_path / "killed", **damage)
    for name in ("dropped.tsv", "text"):
        (killed / name).write_bytes(expected[name])
    repair_data_dir(killed)
    assert read_files(killed) == expected


def test_repair_utterance_that_was_mended_by_hand_leaves_the_list(tmp_path):
    path = make_tiny_data_dir(tmp_path / "d", text=b"a x\nb\nc z\n")
    with pytest.raises(ValueError, match="b: empty_text"):
        repair_data_dir(path, max_dropped=0.0)
    (path / "text").write_bytes(b"a x\nb y\nc z\n")
    assert repair_data_dir(path, max_dropped=0.0).dropped == {}
    assert read_dropped(path / "dropped.tsv") == {}


def make_linked_corpus(root):
    """Files of a, b, c below ``corpus/wavs``; b and c are links, c leads out."""
    wavs = root / "corpus" / "wavs"
    (wavs / "real").mkdir(parents=True)
    for name in ("a.wav", "real/b.wav"):
        (wavs / name).write_bytes(b"x")
    (root / "outside.wav").write_bytes(b"x")
    os.symlink("real/b.wav", wavs / "b.wav")
    os.symlink("../../outside.wav", wavs / "c.wav")
    scp = "".join(f"{u} {wavs / u}.wav\n" for u in "abc")
    return make_tiny_data_dir(root / "d", wav_scp=scp.encode())


def test_repair_link_out_of_the_corpus_is_dropped(tmp_path):
    report = repair_data_dir(make_linked_corpus(tmp_path))
    assert find_reasons(report) == {"c": "link_out_of_tree"}
    assert str(tmp_path / "outside.wav") in report.dropped["c"].value


@pytest.mark.parametrize("wide", [True, False])
def test_repair_wider_root_or_none_lets_links_lead_there(tmp_path, wide):
    path = make_linked_corpus(tmp_path)
    root = str(tmp_path) if wide else None
    assert repair_data_dir(path, audio_root=root).dropped == {}


def test_repair_corpus_behind_a_link_is_good(tmp_path):
    path = make_linked_corpus(tmp_path)
    os.symlink(tmp_path / "corpus", tmp_path / "downloads")
    scp = (path / "wav.scp").read_text().replace("/corpus/", "/downloads/")
    (path / "wav.scp").write_text(scp)
    assert find_reasons(repair_data_dir(path)) == {"c": "link_out_of_tree"}


def test_repair_commands_are_no_links(tmp_path):
    path = make_tiny_data_dir(tmp_path / "d", wav_scp=b"a cat x |\nb cat y |\nc z |\n")
    assert repair_data_dir(path).num_kept == 3
