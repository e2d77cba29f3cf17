"""Texts of a data directory: once, again, killed in between, with files given anew."""

import json
import os

import pytest

from espnet_vibevoice.data import cleaning
from espnet_vibevoice.data.cleaning import TABLES, clean_data_dir, drop_stale_raw
from espnet_vibevoice.text.persian.normalizer import Reading

RAW = "a ساعت ۱۰:۳۰ 😊\nb سلام\nc 😊\nd б سلام\n"
CLEAN = "a ساعت ده و سی دقیقه\nb سلام\nc .\nd سلام\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "text").write_text(RAW, encoding="utf-8")
    return tmp_path


def read(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read_text(folder, name="text"):
    return (folder / name).read_text(encoding="utf-8")


def test_clean_data_dir_keeps_raw_and_lists_what_is_lost(folder):
    report = clean_data_dir(folder, "persian")
    assert (read_text(folder), read_text(folder, "text.raw")) == (CLEAN, RAW)
    assert (report.utterances, report.changed) == (4, 3)
    assert report.emptied == {"c": "😊"}
    assert dict(report.dropped) == {"😊": 2, "б": 1}
    assert read_text(folder, "no_letters.tsv") == "utterance\ttext\nc\t😊\n"
    assert read_text(folder, "unknown_characters.tsv").splitlines()[1:] == [
        "a\t'😊' U+1F60A (1)",
        "c\t'😊' U+1F60A (1)",
        "d\t'б' U+0431 (1)",
    ]
    assert read_text(folder, "dropped_characters.tsv").splitlines() == [
        "count\tcode_point\tcharacter\tname",
        "2\tU+1F60A\t😊\tSMILING FACE WITH SMILING EYES",
        "1\tU+0431\tб\tCYRILLIC SMALL LETTER BE",
    ]


def test_clean_data_dir_again_touches_nothing(folder):
    clean_data_dir(folder, "persian")
    before = sorted(folder.iterdir())
    for path in before:
        os.utime(path, ns=(1, 1))
    assert clean_data_dir(folder, "persian") is None
    assert sorted(folder.iterdir()) == before
    assert {path.stat().st_mtime_ns for path in before} == {1}


def test_clean_data_dir_plain_text_is_not_written_again(folder):
    (folder / "text").write_text("b سلام\n", encoding="utf-8")
    before = (folder / "text").stat()
    clean_data_dir(folder, "persian")
    after = (folder / "text").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(read(folder)) == [".cleaned", "text", "text.raw"]


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


@pytest.mark.parametrize("fresh", [True, False], ids=["first time", "text put anew"])
@pytest.mark.parametrize("moment", range(5))
def test_clean_data_dir_killed_at_any_step_ends_in_the_same_bytes(
    folder, monkeypatch, moment, fresh
):
    if not fresh:
        (folder / "text").write_text("b ۵\n", encoding="utf-8")
        clean_data_dir(folder, "persian")
        (folder / "text").write_text(RAW, encoding="utf-8")
    steps = []

    def count_steps(step):
        def run(*args, **options):
            steps.append(step)
            if len(steps) == moment + 1:
                raise Killed
            return step(*args, **options)

        return run

    with monkeypatch.context() as patch:
        for name in ("_clean_rows", "_write_tables", "write_text"):
            patch.setattr(cleaning, name, count_steps(getattr(cleaning, name)))
        patch.setattr(cleaning.shutil, "copyfileobj", count_steps(shutil_copy))
        patch.setattr(cleaning.filecmp, "cmp", count_steps(cleaning.filecmp.cmp))
        with pytest.raises(Killed):
            clean_data_dir(folder, "persian")
    assert read_text(folder) == RAW
    clean_data_dir(folder, "persian")
    wanted = folder / "undisturbed"
    wanted.mkdir()
    (wanted / "text").write_text(RAW, encoding="utf-8")
    clean_data_dir(wanted, "persian")
    left = read(wanted)
    assert {name: (folder / name).read_bytes() for name in left} == left
    assert {path.name for path in folder.iterdir()} == {"undisturbed", *left}


def shutil_copy(old, new):
    new.write(old.read())


def test_clean_data_dir_text_put_anew_is_the_raw_text(folder):
    clean_data_dir(folder, "persian")
    (folder / "text").write_text("b ۵ نفر\n", encoding="utf-8")
    clean_data_dir(folder, "persian")
    assert read_text(folder) == "b پنج نفر\n"
    assert read_text(folder, "text.raw") == "b ۵ نفر\n"
    assert not any((folder / name).exists() for name in TABLES)


def test_drop_stale_raw_removes_what_belongs_to_an_earlier_text(folder):
    assert not drop_stale_raw(folder)
    clean_data_dir(folder, "persian")
    assert not drop_stale_raw(folder)
    (folder / "text").write_text("e ۵ نفر\n", encoding="utf-8")
    assert drop_stale_raw(folder)
    assert not (folder / "text.raw").exists()
    clean_data_dir(folder, "persian")
    assert read_text(folder, "text.raw") == "e ۵ نفر\n"


def test_drop_stale_raw_of_the_corpus_stays(folder):
    (folder / "text.raw").write_text("a x\n", encoding="utf-8")
    clean_data_dir(folder, "persian")
    (folder / "text").write_text("e ۵ نفر\n", encoding="utf-8")
    assert not drop_stale_raw(folder)
    assert read_text(folder, "text.raw") == "a x\n"


def test_clean_data_dir_edited_raw_text_is_followed(folder):
    clean_data_dir(folder, "persian")
    (folder / "text.raw").write_text("b ۵ نفر\n", encoding="utf-8")
    clean_data_dir(folder, "persian")
    assert read_text(folder) == "b پنج نفر\n"


def test_clean_data_dir_new_rules_start_from_the_raw_text(folder, monkeypatch):
    clean_data_dir(folder, "persian")
    seen = []
    monkeypatch.setattr(cleaning, "fingerprint_path", lambda path: "new")
    monkeypatch.setattr(
        cleaning, "find_cleaner", lambda name: lambda t: seen.append(t) or Reading("نه")
    )
    clean_data_dir(folder, "persian")
    assert seen[0] == "ساعت ۱۰:۳۰ 😊"
    assert read_text(folder, "text.raw") == RAW


@pytest.mark.parametrize("given", ["b سلام\n", "b سلام ۵\n"])
def test_clean_data_dir_raw_text_of_the_corpus_is_never_replaced(folder, given):
    (folder / "text").write_text(given, encoding="utf-8")
    (folder / "text.raw").write_text("b [خنده] سلام\n", encoding="utf-8")
    for _ in range(2):
        clean_data_dir(folder, "persian")
        assert read_text(folder) == given.replace("۵", "پنج")
        assert read_text(folder, "text.raw") == "b [خنده] سلام\n"


def test_clean_data_dir_none_leaves_alone_and_takes_back(folder):
    assert clean_data_dir(folder, "none") is None
    assert sorted(read(folder)) == ["text"]
    clean_data_dir(folder, "persian")
    clean_data_dir(folder, "none")
    assert read_text(folder) == RAW


def test_clean_data_dir_damaged_record_counts_as_none(folder):
    clean_data_dir(folder, "persian")
    before = read(folder)
    for record in ("{", json.dumps({"cleaner": "persian"})):
        (folder / ".cleaned").write_text(record)
        clean_data_dir(folder, "persian")
        after = read(folder)
        assert after["text.raw"] == before["text.raw"]
        assert after["text"] == before["text"]


def test_clean_data_dir_without_text_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="text is missing. Run the script"):
        clean_data_dir(tmp_path, "persian")
    assert os.listdir(tmp_path) == []
