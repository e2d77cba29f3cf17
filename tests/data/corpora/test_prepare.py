"""Rows become data directories; what does not is listed; repeating changes nothing."""

import itertools
import logging
import os
import sys
from pathlib import Path

import pytest

from espnet_vibevoice.data.corpora import prepare
from espnet_vibevoice.data.corpora import progress as progress_module
from espnet_vibevoice.data.corpora.manatts import open_manatts
from espnet_vibevoice.data.corpora.prepare import PrepareOptions, prepare_corpus
from espnet_vibevoice.data.corpora.progress import PassProgress
from espnet_vibevoice.data.corpora.splits import SetSize, SplitOptions
from espnet_vibevoice.data.corpora.utterance import (
    Corpus,
    CorpusRow,
    CorpusUtterance,
    EncodedAudio,
    RefusedRow,
)
from espnet_vibevoice.data.data_dir import check_disjoint, validate_data_dir
from espnet_vibevoice.data.dropped import read_dropped
from espnet_vibevoice.data.kaldi import read_table

sys.path.insert(0, str(Path(__file__).resolve().parent))
import corpus_layouts  # noqa: E402

NO_SETS = SplitOptions(SetSize(count=0), SetSize(count=0))


def make_options(folder: Path, **changes: object) -> PrepareOptions:
    given = {
        "prefix": "fa",
        "data_dir": folder / "data",
        "audio_dir": folder / "audio",
        "splits": NO_SETS,
        "max_dropped": 1.0,
    }
    return PrepareOptions(**(given | changes))


def run(folder: Path, rows: list[CorpusRow], **changes: object) -> dict[str, int]:
    return prepare_corpus(
        Corpus(len(rows), iter(rows)), make_options(folder, **changes)
    )


def make_utterance(folder: Path, name: str = "a", **changes: object) -> CorpusUtterance:
    (folder / "a.wav").touch()
    given = {"audio": folder / "a.wav", "text": f"سلام {name}", "speaker": "s"}
    return CorpusUtterance(name, **(given | changes))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_prepare_writes_normalised_and_raw_text(tmp_path):
    text = "قیمت: 12 تومان\tبود\u2028است"
    run(tmp_path, [make_utterance(tmp_path, text=text)])
    folder = tmp_path / "data/train"
    assert validate_data_dir(folder) == 1
    assert read_table(folder / "text") == {"fa_s-a": "قیمت: دوازده تومان بود است"}
    assert read_table(folder / "text.raw") == {"fa_s-a": "قیمت: 12 تومان بود است"}
    assert read_table(folder / "utt2spk") == {"fa_s-a": "fa_s"}
    assert read_table(folder / "wav.scp") == {"fa_s-a": str(tmp_path / "a.wav")}


def test_prepare_unknown_speaker_is_the_utterance(tmp_path):
    rows = [make_utterance(tmp_path, name, speaker=None) for name in "ab"]
    run(tmp_path, rows)
    table = read_table(tmp_path / "data/train/utt2spk")
    assert table == {"fa-a": "fa-a", "fa-b": "fa-b"}
    assert validate_data_dir(tmp_path / "data/train") == 2


def test_prepare_quality_tables_have_a_value_for_all(tmp_path):
    rows = [
        make_utterance(tmp_path, "a", quality={"gender": " fe male ", "cer": 0.5}),
        make_utterance(tmp_path, "b", quality={"gender": ""}),
    ]
    run(tmp_path, rows)
    folder = tmp_path / "data/train"
    assert read_table(folder / "utt2gender") == {"fa_s-a": "fe male", "fa_s-b": "-"}
    assert read_table(folder / "utt2cer") == {"fa_s-a": "0.5", "fa_s-b": "-"}
    assert validate_data_dir(folder) == 2


def test_prepare_prompts_name_utterances_of_the_set(tmp_path):
    rows = []
    for name in "abc":
        (tmp_path / f"{name}.wav").touch()
        prompts = {"b": ("x.wav", "a.wav"), "c": ("x.wav",)}.get(name, ())
        paths = tuple(str(tmp_path / prompt) for prompt in prompts)
        audio = tmp_path / f"{name}.wav"
        row = make_utterance(tmp_path, name, audio=audio, voice_prompts=paths)
        rows.append(row)
    run(tmp_path, rows)
    assert read_table(tmp_path / "data/train/utt2prompt") == {
        "fa_s-a": "-",
        "fa_s-b": "fa_s-a",
        "fa_s-c": "-",
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"text": "  "}, "empty_text"),
        ({"text": "😀 ... ؟!"}, "no_letters"),
        ({"audio": Path("nowhere.wav")}, "missing_audio"),
        ({"name": "a"}, "duplicate_id"),
    ],
)
def test_prepare_bad_utterance_is_listed_and_the_others_stay(tmp_path, changes, reason):
    bad = make_utterance(tmp_path, **({"name": "bad"} | changes))
    rows = [make_utterance(tmp_path, "a"), bad, make_utterance(tmp_path, "z")]
    assert run(tmp_path, rows) == {"train": 2}
    dropped = read_dropped(tmp_path / "data/dropped.tsv")
    assert [entry.reason for entry in dropped.values()] == [reason]
    assert list(dropped) == [f"fa_s-{bad.name}"]


def test_prepare_refused_rows_of_one_name_are_all_listed(tmp_path):
    rows = [RefusedRow("b\n2", "bad_row", str(i)) for i in range(20_000)]
    run(tmp_path, [make_utterance(tmp_path), *rows])
    dropped = read_dropped(tmp_path / "data/dropped.tsv")
    assert len(dropped) == 20_000
    assert {"b 2", "b 2#2", "b 2#20000"} <= dropped.keys()


@pytest.mark.parametrize("name", ["x |", "x\u2028y.wav", "x\ny.wav", "x "])
def test_prepare_path_that_a_table_would_misread_is_listed(tmp_path, name):
    (tmp_path / name).touch()
    rows = [
        make_utterance(tmp_path),
        make_utterance(tmp_path, "b", audio=tmp_path / name),
    ]
    run(tmp_path, rows)
    assert read_dropped(tmp_path / "data/dropped.tsv")["fa_s-b"].reason == "bad_path"


def test_prepare_path_with_blanks_and_persian_letters_is_kept(tmp_path):
    path = tmp_path / "صدای من" / "یک  دو.wav"
    path.parent.mkdir()
    path.touch()
    run(tmp_path, [make_utterance(tmp_path, audio=path)])
    assert read_table(tmp_path / "data/train/wav.scp") == {"fa_s-a": str(path)}


def test_prepare_second_of_an_id_does_not_replace_the_audio(tmp_path):
    rows = [
        make_utterance(tmp_path, audio=EncodedAudio(content, ".wav"))
        for content in (b"first", b"second")
    ]
    run(tmp_path, rows)
    (path,) = read_table(tmp_path / "data/train/wav.scp").values()
    assert Path(path).read_bytes() == b"first"


def test_prepare_too_many_faults_fail_with_the_largest_reason(tmp_path):
    rows = [make_utterance(tmp_path, str(i)) for i in range(8)]
    rows += [make_utterance(tmp_path, "e", text=""), RefusedRow("m:3", "bad_row", "v")]
    rows += [RefusedRow("m:4", "bad_row", "v", "w")]
    message = (
        r"3 of 11 rows \(27.3%\) cannot be used, more than --max_dropped 0.2. The "
        r"largest reason is bad_row \(2\), e.g. m:3: v.*dropped.tsv"
    )
    with pytest.raises(ValueError, match=message):
        run(tmp_path, rows, max_dropped=0.2)
    assert len(read_dropped(tmp_path / "data/dropped.tsv")) == 3
    assert not (tmp_path / "data/train").exists()
    assert run(tmp_path, rows, max_dropped=0.3) == {"train": 8}


def test_prepare_rows_left_out_on_purpose_are_no_faults(tmp_path):
    rows = [make_utterance(tmp_path)]
    rows += [RefusedRow(f"m:{i}", "low_match_quality", "REJECT") for i in range(9)]
    assert run(tmp_path, rows, max_dropped=0.0) == {"train": 1}
    assert len(read_dropped(tmp_path / "data/dropped.tsv")) == 9


def test_prepare_no_rows_or_bad_prefix_is_refused(tmp_path):
    with pytest.raises(ValueError, match="The corpus has no rows. Check --source"):
        run(tmp_path, [])
    with pytest.raises(ValueError, match="--prefix 'a b': want letters, digits and"):
        make_options(tmp_path, prefix="a b")


def test_prepare_unreadable_characters_are_listed_by_utterance(tmp_path, caplog):
    rows = [make_utterance(tmp_path, "a", text="سلام б"), make_utterance(tmp_path, "b")]
    run(tmp_path, rows)
    path = tmp_path / "data/unknown_characters.tsv"
    assert path.read_text(encoding="utf-8").split("\n")[:2] == [
        "utterance\tcharacters",
        "fa_s-a\t'б' U+0431 (1)",
    ]
    assert "left out of 1 texts: see" in caplog.text


def test_prepare_repeated_writes_nothing_anew(tmp_path):
    source = corpus_layouts.build_manatts(tmp_path / "source", num_parts=1)
    options = make_options(tmp_path, splits=SplitOptions(*[SetSize(count=2)] * 2))
    for _ in range(2):
        prepare_corpus(open_manatts(source), options)
        before = snapshot(tmp_path)
    prepare_corpus(open_manatts(source), options)
    assert snapshot(tmp_path) == before
    sets = [tmp_path / "data" / name for name in ("train", "valid", "test")]
    assert [validate_data_dir(folder) for folder in sets] == [7, 2, 2]
    check_disjoint(*sets)


@pytest.mark.parametrize("at", [1, 7, 11, 13, 14, 18, 20, 27])
def test_prepare_killed_and_repeated_gives_the_same_bytes(tmp_path, monkeypatch, at):
    source = corpus_layouts.build_manatts(tmp_path / "source", num_parts=1)
    options = make_options(tmp_path, splits=SplitOptions(*[SetSize(count=2)] * 2))
    replace, calls = os.replace, itertools.count(1)

    def die(*paths: str) -> None:
        if next(calls) == at:
            raise KeyboardInterrupt
        replace(*paths)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        prepare_corpus(open_manatts(source), options)
    monkeypatch.setattr(os, "replace", replace)
    prepare_corpus(open_manatts(source), options)
    killed = {name: content for name, (content, _) in snapshot(tmp_path).items()}
    whole = tmp_path / "whole"
    again = make_options(tmp_path, data_dir=whole, splits=options.splits)
    prepare_corpus(open_manatts(source), again)
    assert not list(tmp_path.rglob(".*"))
    for name, content in killed.items():
        if name.startswith("data/"):
            assert (whole / name.removeprefix("data/")).read_bytes() == content


def test_prepare_tables_of_an_earlier_run_are_removed(tmp_path):
    rows = [
        make_utterance(tmp_path, "a", split="train", quality={"cer": 1}),
        make_utterance(tmp_path, "b", split="test"),
    ]
    run(tmp_path, rows)
    run(tmp_path, [make_utterance(tmp_path, "a")])
    assert not (tmp_path / "data/train/utt2cer").exists()
    assert list((tmp_path / "data/test").iterdir()) == []
    assert not (tmp_path / "data" / prepare._INDEX).exists()


def test_pass_progress_logs_share_and_time_left(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    now = [10.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    progress = PassProgress("rows", 2, interval_sec=0.0)
    now[0] = 14.0
    progress.update()
    progress.update()
    progress.update()  # more than were announced
    assert "rows: 1/2 (50.0%), elapsed 0:00:04, left 0:00:04" in caplog.text
    assert progress.describe(9.0) == "rows: 3/3 (100.0%), elapsed 0:00:09, left 0:00:00"
