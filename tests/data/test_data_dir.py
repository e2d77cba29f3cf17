import pytest

from espnet_vibevoice.data.data_dir import (
    check_disjoint,
    copy_data_dir,
    read_data_dir,
    validate_data_dir,
)
from espnet_vibevoice.data.kaldi import read_table


def make_tiny_data_dir(path, utterances=("a", "b", "c"), **files):
    """Data directory of one speaker; keywords replace or add files (``.`` as _)."""
    tables = {
        "wav.scp": "".join(f"{u} /w/{u}.wav\n" for u in utterances),
        "text": "".join(f"{u} متن {u}\n" for u in utterances),
        "utt2spk": "".join(f"{u} s1\n" for u in utterances),
        "spk2utt": f"s1 {' '.join(utterances)}\n",
    }
    tables |= {name.replace("_", "."): content for name, content in files.items()}
    path.mkdir(parents=True)
    for name, content in tables.items():
        if content is not None:
            (path / name).write_text(content, encoding="utf-8")
    return path


def test_validate_data_dir_good_returns_count(tmp_path):
    path = make_tiny_data_dir(tmp_path / "d", utt2num="a 1\nb 2\nc 3\n")
    assert validate_data_dir(path) == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"wav_scp": "a 1\nb 2\nc 3\nd 4\n"}, r"only in wav.scp, not in text: 1 \(d\)"),
        ({"text": "a x\nb y\nc z\nd w\n"}, r"only in text, not in wav.scp: 1 \(d\)"),
        ({"text": "b y\na x\nc z\n"}, r"text is not sorted"),
        ({"text": "a x\nb\nc z\n"}, r"text has no value for 1 \(b\)"),
        ({"spk2utt": "s1 a b\ns2 c\n"}, r"spk2utt is not the inverse"),
        ({"text_raw": "a x\nb y\n"}, r"only in text, not in text.raw: 1 \(c\)"),
        ({"utt2sid": "a 1\nb 1\nc 1\nz 1\n"}, r"only in utt2sid, not in text: 1 \(z\)"),
        ({"segments": "a r 0 1\nb r 0 1\nc q 0 1\n", "wav_scp": "r 1\n"}, r"1 \(c\)"),
    ],
)
def test_validate_data_dir_fault_raises_naming_it(tmp_path, files, message):
    path = make_tiny_data_dir(tmp_path / "d", **files)
    with pytest.raises(ValueError, match=message):
        validate_data_dir(path)


def test_validate_data_dir_many_faults_lists_first_ten_ids(tmp_path):
    utterances = [f"u{i:02d}" for i in range(12)]
    path = make_tiny_data_dir(tmp_path / "d", utterances, wav_scp="")
    message = r"not in wav.scp: 12 \(u00, .*u09, \.\.\.\)"
    with pytest.raises(ValueError, match=message):
        validate_data_dir(path)


def test_validate_data_dir_no_utterances_raises(tmp_path):
    path = make_tiny_data_dir(tmp_path / "d", (), spk2utt="")
    with pytest.raises(ValueError, match="there are no utterances"):
        validate_data_dir(path)


@pytest.mark.parametrize("name", ["wav.scp", "text", "utt2spk", "spk2utt"])
def test_validate_data_dir_missing_file_raises(tmp_path, name):
    path = make_tiny_data_dir(tmp_path / "d")
    (path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} missing"):
        validate_data_dir(path)


def test_read_data_dir_missing_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such data directory"):
        read_data_dir(tmp_path / "none")


def test_copy_data_dir_subset_with_segments_keeps_used_recordings(tmp_path):
    source = make_tiny_data_dir(
        tmp_path / "s",
        wav_scp="r1 1.wav\nr2 2.wav\n",
        segments="a r1 0 1\nb r1 1 2\nc r2 0 1\n",
        spk2gender="s1 f\n",
    )
    (source / "feats_type").write_text("raw\n")
    assert copy_data_dir(source, tmp_path / "t", ["a", "b"]) == 2
    assert validate_data_dir(tmp_path / "t") == 2
    assert read_table(tmp_path / "t" / "wav.scp") == {"r1": "1.wav"}
    assert read_table(tmp_path / "t" / "spk2gender") == {"s1": "f"}
    assert (tmp_path / "t" / "feats_type").read_text() == "raw\n"


def test_copy_data_dir_again_removes_tables_the_source_lost(tmp_path):
    source = make_tiny_data_dir(tmp_path / "s", text_raw="a x\nb y\nc z\n")
    copy_data_dir(source, tmp_path / "t")
    assert (tmp_path / "t" / "text.raw").is_file()
    (source / "text.raw").unlink()
    copy_data_dir(source, tmp_path / "t")
    assert not (tmp_path / "t" / "text.raw").exists()


def test_copy_data_dir_unknown_utterance_raises(tmp_path):
    source = make_tiny_data_dir(tmp_path / "s")
    with pytest.raises(ValueError, match=r"does not have 1 \(z\)"):
        copy_data_dir(source, tmp_path / "t", ["a", "z"])


def test_check_disjoint_separate_sets_passes(tmp_path):
    make_tiny_data_dir(tmp_path / "tr", ("a", "b"))
    make_tiny_data_dir(tmp_path / "dv", ("c",))
    assert check_disjoint(tmp_path / "tr", tmp_path / "dv") is None


def test_check_disjoint_shared_utterance_raises(tmp_path):
    make_tiny_data_dir(tmp_path / "tr", ("a", "b"))
    make_tiny_data_dir(tmp_path / "dv", ("c",))
    make_tiny_data_dir(tmp_path / "te", ("b",))
    with pytest.raises(ValueError, match=r"tr and .*te share utterances: 1 \(b\)"):
        check_disjoint(tmp_path / "tr", tmp_path / "dv", tmp_path / "te")


def test_check_disjoint_shared_sentence_raises(tmp_path):
    make_tiny_data_dir(tmp_path / "tr", ("a",), text="a سلام  دنیا\n")
    make_tiny_data_dir(tmp_path / "te", ("t",), text="t سلام دنیا\n")
    with pytest.raises(ValueError, match=r"tr has sentences of .*te: utterances 1 \(a"):
        check_disjoint(tmp_path / "tr", tmp_path / "te")


def test_check_disjoint_same_letters_other_marks_raises(tmp_path):
    # \u200c is ZERO WIDTH NON-JOINER, \u064e is ARABIC FATHA.
    make_tiny_data_dir(tmp_path / "tr", ("a",), text="a می\u200cر\u064eوم، خانه!\n")
    make_tiny_data_dir(tmp_path / "te", ("t",), text="t میروم خانه\n")
    with pytest.raises(ValueError, match=r"utterances 1 \(a"):
        check_disjoint(tmp_path / "tr", tmp_path / "te")
    check_disjoint(tmp_path / "tr", tmp_path / "te", compare_texts=False)


def test_check_disjoint_texts_without_letters_are_no_sentences(tmp_path):
    make_tiny_data_dir(tmp_path / "tr", ("a",), text="a ؟\n")
    make_tiny_data_dir(tmp_path / "te", ("t",), text="t !\n")
    assert check_disjoint(tmp_path / "tr", tmp_path / "te") is None


def test_validate_data_dir_repeated_id_raises_with_line(tmp_path):
    path = make_tiny_data_dir(tmp_path / "d", text="a x\na y\nb y\nc z\n")
    with pytest.raises(ValueError, match="text:2: key 'a' is already in line 1"):
        validate_data_dir(path)
