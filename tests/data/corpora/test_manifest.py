"""Manifests of all kinds: JSONL, CSV, TSV, lists, Hugging Face datasets."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from espnet_vibevoice.data.audio import load_audio
from espnet_vibevoice.data.corpora.fields import find_fields
from espnet_vibevoice.data.corpora.manifest import open_manifest
from espnet_vibevoice.data.corpora.utterance import (
    CorpusUtterance,
    EncodedAudio,
    RefusedRow,
)

sys.path.insert(0, str(Path(__file__).resolve().parent))
import corpus_layouts  # noqa: E402

A, B = corpus_layouts.SENTENCES[:2]


def read(source: Path, **options: str) -> tuple[list[CorpusUtterance], dict[str, str]]:
    """Return utterances, and the reason of each refused row."""
    corpus = open_manifest(source, **options)
    rows = list(corpus.rows)
    assert len(rows) <= corpus.num_rows
    refused = {row.name: row.reason for row in rows if isinstance(row, RefusedRow)}
    return [row for row in rows if isinstance(row, CorpusUtterance)], refused


def write(path: Path, *lines: str) -> Path:
    corpus_layouts.write_tsv(path, *lines)
    return path


def line(**fields: object) -> str:
    return json.dumps({"audio": "a.wav", "text": A} | fields, ensure_ascii=False)


# ---------------------------------------------------------------- JSONL


def test_jsonl_all_fields_are_read(tmp_path):
    utterances, refused = read(corpus_layouts.build_jsonl(tmp_path))
    assert refused == {} and len(utterances) == 12
    second = utterances[1]
    assert second.name == "wavs/1"
    assert second.audio == tmp_path / "wavs/1.flac"
    assert second.text == corpus_layouts.SENTENCES[1]  # without "Speaker 0:"
    assert second.speaker == "mine_گوینده 1"
    assert second.quality == {"duration": "0.3"}
    assert second.voice_prompts == (str(tmp_path / "wavs/0.flac"),)
    assert load_audio(second.audio)[1] == 24000


def test_jsonl_names_with_dots_stay_different(tmp_path):
    rows = [line(audio=name) for name in ("x/1.1", "x/1.2", "y.1.MP3")]
    utterances, _ = read(write(tmp_path / "m.jsonl", *rows))
    assert [u.name for u in utterances] == ["x/1.1", "x/1.2", "y.1"]


def test_jsonl_prompts_one_or_many(tmp_path):
    for prompts, expected in [
        ("p.wav", 1),
        (["p.wav", "q.wav"], 2),
        (None, 0),
        ([], 0),
    ]:
        source = write(tmp_path / "m.jsonl", line(voice_prompts=prompts))
        assert len(read(source)[0][0].voice_prompts) == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"audio": "a.wav", "text": "x"', "bad_row"),
        ('["a.wav", "x"]', "bad_row"),
        ('{"text": "x"}', "missing_audio"),
        ('{"audio": "a.wav"}', "bad_row"),
        ('{"audio": "a.wav", "text": 7}', "bad_row"),
        ("[" * 100_000, "bad_row"),
        (f'{{"duration": {"1" * 5000}}}', "bad_row"),
        ('{"audio": "a.wav", "text": "خو\\ud83dب"}', "bad_encoding"),
        ('{"audio": "\\udc00.wav", "text": "خوب"}', "bad_encoding"),
        (line(split="other"), "unknown_set"),
        (line(text="Speaker 0: سلام\nSpeaker 1: درود"), "several_speakers"),
    ],
)
def test_jsonl_bad_line_is_named_and_the_others_stay(tmp_path, row, reason):
    source = write(tmp_path / "m.jsonl", line(id="1"), "", row, line(id="2"))
    utterances, refused = read(source)
    assert [u.name for u in utterances] == ["1", "2"]
    assert refused == {"m.jsonl:3": reason}


def test_jsonl_bytes_that_are_not_utf_8_are_named(tmp_path):
    path = write(tmp_path / "m.jsonl", line())
    path.write_bytes(
        b"\xef\xbb\xbf" + path.read_bytes() + '{"audio": "é"}\r\n'.encode("latin-1")
    )
    utterances, refused = read(path)
    assert len(utterances) == 1
    assert refused == {"m.jsonl:2": "bad_encoding"}


def test_jsonl_utf_16_is_refused_with_a_way_out(tmp_path):
    (tmp_path / "m.jsonl").write_text(line(), encoding="utf-16")
    with pytest.raises(ValueError, match="m.jsonl: UTF-16. Save it as UTF-8"):
        read(tmp_path / "m.jsonl")


@pytest.mark.parametrize(
    ("fields", "options", "speaker"),
    [
        ({}, {}, None),
        ({"speaker": 7}, {}, "7"),
        ({"speaker": ""}, {"default_speaker": "sara"}, "sara"),
        ({"speaker": None, "dataset_id": "d"}, {}, None),
        ({"dataset_id": "d"}, {"default_speaker": "sara"}, "d_sara"),
    ],
)
def test_manifest_speaker_is_named_given_or_unknown(tmp_path, fields, options, speaker):
    source = write(tmp_path / "m.jsonl", line(**fields))
    assert read(source, **options)[0][0].speaker == speaker


def test_manifest_folder_with_a_file_per_set(tmp_path):
    write(tmp_path / "train.jsonl", line())
    write(tmp_path / "dev.tsv", "audio\ttext", f"b.wav\t{B}")
    write(tmp_path / "notes.txt", "nothing")
    utterances, refused = read(tmp_path)
    assert refused == {}
    assert {u.name: u.split for u in utterances} == {"a": "train", "b": "valid"}


def test_manifest_set_of_a_row_goes_before_that_of_its_file(tmp_path):
    source = write(tmp_path / "train.jsonl", line(split="test"))
    assert read(source)[0][0].split == "test"


def test_manifest_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="want a manifest .* found none"):
        open_manifest(tmp_path)
    write(tmp_path / "a.jsonl", line())
    write(tmp_path / "b.jsonl", line())
    with pytest.raises(FileNotFoundError, match=r"found \['a.jsonl', 'b.jsonl'\]"):
        open_manifest(tmp_path)


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("m.csv", ["audio,text,speaker", f'a.wav,"{A}",sara']),
        ("m.csv", ["Path,Sentence,Speaker_ID", f"a.wav,{A},sara"]),
        ("m.csv", ["audio|text|speaker", f"a.wav|{A}|sara"]),
        ("m.tsv", ["speaker\taudio\ttext", f"sara\ta.wav\t{A}"]),
        ("m.txt", [f"a.wav|sara|{A}"]),
        ("m.list", [f"a.wav|{A}|sara"]),
        ("m.txt", [f"{A}\ta.wav\tsara"]),
    ],
)
def test_tables_header_or_not_any_order(tmp_path, name, lines):
    utterances, refused = read(write(tmp_path / name, *lines))
    assert refused == {}
    assert [(u.name, u.text, u.speaker) for u in utterances] == [("a", A, "sara")]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("m.csv", "a.wav|{}"),
        ("m.csv", "{}|a.wav"),
        ("m.csv", 'a.wav,"{}"'),
        ("m.csv", '"{}",a.wav'),
        ("m.csv", "LJ1|{}"),
        ("m.txt", "a.wav\t{}"),
    ],
)
@pytest.mark.parametrize("text", ["یک, دو, سه", "یک; دو; سه"])
def test_list_marks_within_the_text_separate_nothing(tmp_path, name, row, text):
    corpus_layouts.write_audio(tmp_path / "wavs/LJ1.wav", 0, 22050)
    utterances, refused = read(write(tmp_path / name, row.format(text)))
    assert refused == {}
    assert [u.text for u in utterances] == [text]


def test_csv_quoted_field_may_hold_commas_quotes_and_lines(tmp_path):
    row = 'a.wav,"یک، ""دو"", سه\nچهار"'
    utterances, refused = read(write(tmp_path / "m.csv", "audio,text", row))
    assert refused == {}
    assert utterances[0].text == 'یک، "دو", سه\nچهار'


def test_csv_prompts_as_json_in_a_field(tmp_path):
    row = f'a.wav,{A},"[""p.wav"", ""q.wav""]"'
    source = write(tmp_path / "m.csv", "audio,text,voice_prompts", row)
    prompts = read(source)[0][0].voice_prompts
    assert [Path(prompt).name for prompt in prompts] == ["p.wav", "q.wav"]


@pytest.mark.parametrize("bad", ["a.wav", "a.wav|x|y", f'"a.wav|{A}|'])
def test_list_row_of_another_width_is_named(tmp_path, bad):
    source = write(tmp_path / "m.txt", f"a.wav|{A}", f"b.wav|{B}", bad)
    utterances, refused = read(source)
    assert len(utterances) == 2
    assert refused == {"m.txt:3": "bad_row"}


def test_list_ljspeech_names_without_ending_are_found(tmp_path):
    corpus_layouts.write_audio(tmp_path / "wavs/LJ 1.wav", 0, 22050)
    corpus_layouts.write_audio(tmp_path / "wavs/LJ 2.wav", 1, 22050)
    lines = [f"LJ 1|{A}|{A}!", f"LJ 2|{B}|{B}!"]
    utterances, _ = read(write(tmp_path / "metadata.csv", *lines))
    assert [u.audio.name for u in utterances] == ["LJ 1.wav", "LJ 2.wav"]
    assert [u.text for u in utterances] == [A, B]


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("m.txt", ["سلام دنیا"], "m.txt:1: no '|' or"),
        ("m.txt", ["سلام|دنیا"], "none of which are audio files"),
        ("m.tsv", [""], "no '\\\\t' in"),
        ("m.csv", ["audio,words", "a.wavx,x"], "none of which are audio files"),
    ],
)
def test_table_without_files_or_texts_is_refused(tmp_path, name, lines, message):
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path / name, *lines))


def test_find_fields_first_known_name_goes_first():
    columns = ["Transcription", "text", "file name", "other"]
    assert find_fields(columns) == {"audio": "file name", "text": "text"}


# ---------------------------------------------------------------- Hugging Face


def test_hf_dataset_saved_to_disk_keeps_sets_and_bytes(tmp_path):
    utterances, refused = read(corpus_layouts.build_hf_dataset(tmp_path))
    assert refused == {}
    assert [u.split for u in utterances] == ["train"] * 4 + ["valid"] * 2 + ["test"] * 2
    content = corpus_layouts.encode_wav(0, 16000)
    assert utterances[0].audio == EncodedAudio(content, ".wav")
    assert utterances[0].speaker == "7"
    assert len({u.name for u in utterances}) == 8


def test_hf_dataset_without_sets_is_one(tmp_path):
    corpus_layouts.build_hf_dataset(tmp_path)
    utterances, _ = read(tmp_path / "train")
    assert [u.split for u in utterances] == [None] * 4


@pytest.mark.parametrize(
    ("folder", "name"), [("", "validation-00000-of-00001"), ("dev", "part"), ("", "x")]
)
def test_hf_parquet_set_is_in_name_or_folder(tmp_path, folder, name):
    (tmp_path / folder).mkdir(exist_ok=True)
    corpus_layouts.write_audio(tmp_path / "a.mp3", 0, 48000, format="MP3")
    content = (tmp_path / "a.mp3").read_bytes()
    table = pa.table({"audio": [{"bytes": content, "path": "a.mp3"}], "text": [A]})
    pq.write_table(table, tmp_path / folder / f"{name}.parquet")
    utterances, _ = read(tmp_path)
    assert [u.split for u in utterances] == [None if name == "x" else "valid"]
    assert utterances[0].audio.suffix == ".mp3"
    assert load_audio(utterances[0].audio.content)[1] == 48000


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        ({"bytes": b"nothing known", "path": "a.wav"}, "unreadable"),
        ({"bytes": None, "path": None}, "missing_audio"),
        ({"array": [0.1], "sampling_rate": None}, "no_sampling_rate"),
        ({"array": [], "sampling_rate": 16000}, "empty"),
        ({"array": [[0.1], [0.2]], "sampling_rate": 16000}, "unreadable"),
    ],
)
def test_hf_row_without_usable_audio_is_named(tmp_path, audio, reason):
    table = pa.table({"audio": [audio], "text": [A]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert read(tmp_path) == ([], {"x.parquet:1": reason})


def test_hf_array_and_path_and_binary_are_audio(tmp_path):
    tone = corpus_layouts.make_tone(0, 16000)
    wav = corpus_layouts.encode_wav(0, 16000)
    corpus_layouts.write_audio(tmp_path / "a.wav", 0, 16000)
    for name, column in {
        "array": [{"array": tone.tolist(), "sampling_rate": 16000}],
        "int16": [{"array": (tone * 32768).astype("int16"), "sampling_rate": 16000}],
        "binary": pa.array([wav], pa.binary()),
        "path": ["a.wav"],
        "struct": [{"bytes": None, "path": "a.wav"}],
    }.items():
        table = pa.table({"audio": column, "text": [A]})
        pq.write_table(table, tmp_path / "x.parquet")
        audio = read(tmp_path)[0][0].audio
        content = audio.content if isinstance(audio, EncodedAudio) else audio
        waveform, fs = load_audio(content)
        assert fs == 16000
        assert abs(waveform - tone).max() <= 1 / 32768, name


def test_hf_dataset_without_pyarrow_says_how_to_get_it(tmp_path, monkeypatch):
    pq.write_table(pa.table({"audio": ["a"], "text": [A]}), tmp_path / "x.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(RuntimeError, match="need pyarrow: python3 -m pip install"):
        read(tmp_path)


def test_hf_dataset_that_is_none_is_refused(tmp_path):
    table = pa.table({"sound": ["a.wav"], "text": [A]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="no column for audio among"):
        read(tmp_path)
    (tmp_path / "state.json").write_text('{"_data_files": [{}]}')
    with pytest.raises(ValueError, match="state.json: _data_files has no names"):
        read(tmp_path)
    (tmp_path / "dataset_dict.json").write_text("{")
    with pytest.raises(ValueError, match="dataset_dict.json: want JSON with a list"):
        read(tmp_path)
