"""Each published corpus, built small in its own layout, becomes data directories."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from espnet_vibevoice.data.audio import load_audio
from espnet_vibevoice.data.corpora.common_voice import open_common_voice
from espnet_vibevoice.data.corpora.fleurs import open_fleurs
from espnet_vibevoice.data.corpora.manatts import open_manatts
from espnet_vibevoice.data.corpora.parsigoo import open_parsigoo
from espnet_vibevoice.data.corpora.persian_speech_corpus import (
    open_persian_speech_corpus,
)
from espnet_vibevoice.data.corpora.unpack import unpack_archive
from espnet_vibevoice.data.corpora.utterance import (
    Corpus,
    CorpusUtterance,
    EncodedAudio,
    RefusedRow,
)

sys.path.insert(0, str(Path(__file__).resolve().parent))
import corpus_layouts  # noqa: E402


def read(corpus: Corpus) -> tuple[list[CorpusUtterance], dict[str, tuple[str, str]]]:
    """Return utterances, and reason and value of each refused row."""
    rows = list(corpus.rows)
    assert len(rows) <= corpus.num_rows
    refused = {r.name: (r.reason, r.value) for r in rows if isinstance(r, RefusedRow)}
    return [row for row in rows if isinstance(row, CorpusUtterance)], refused


def append(path: Path, *lines: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_part(folder: Path, **changes: list) -> Path:
    folder.mkdir(exist_ok=True)
    rows = corpus_layouts.make_manatts_rows(3, **changes)
    pq.write_table(pa.table(rows), folder / "dataset_part_01.parquet")
    return folder


# ---------------------------------------------------------------- ManaTTS


def test_manatts_samples_become_wavs_of_their_rate(tmp_path):
    utterances, refused = read(open_manatts(corpus_layouts.build_manatts(tmp_path)))
    assert len(utterances) == 22
    assert refused["012-51.wav"] == ("high_cer", "0.1100")
    first = utterances[0]
    assert (first.name, first.speaker, first.split) == ("01-40", "mana", None)
    assert first.quality == {"match_quality": "HIGH", "cer": "0.0000"}
    assert isinstance(first.audio, EncodedAudio) and first.audio.suffix == ".wav"
    waveform, fs = load_audio(first.audio.content)
    assert fs == 44100
    np.testing.assert_allclose(
        waveform, corpus_layouts.make_tone(0, 44100), atol=1 / 32768
    )


def test_manatts_match_quality_and_cer_are_limits(tmp_path):
    source = corpus_layouts.build_manatts(tmp_path, num_parts=1)
    utterances, refused = read(open_manatts(source, ["HIGH"], max_cer=0.05))
    assert [u.name for u in utterances] == [f"0{i}-{i + 39}" for i in range(1, 7)]
    assert refused["012-51.wav"] == ("low_match_quality", "MIDDLE")
    assert refused["011-50.wav"] == ("high_cer", "0.1000")


def test_manatts_encoded_bytes_are_kept_as_they_are(tmp_path):
    content = [corpus_layouts.encode_wav(i, 44100) for i in range(3)]
    audio = [{"bytes": c, "path": f"{i}.wav"} for i, c in enumerate(content)]
    utterances, refused = read(open_manatts(write_part(tmp_path / "x", audio=audio)))
    assert refused == {}
    assert [u.audio for u in utterances] == [EncodedAudio(c, ".wav") for c in content]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"audio": [[0.1] * 9, [float("nan")], [0.1]]}, "not_finite"),
        ({"audio": [[0.1] * 9, [], [0.1]]}, "empty"),
        ({"audio": [[0.1] * 9, None, [0.1]]}, "missing_audio"),
        ({"samplerate": [44100, None, 44100]}, "no_sampling_rate"),
        ({"CER": [0.0, None, 0.0]}, "high_cer"),
        ({"CER": ["0.0", "none", "0.0"]}, "high_cer"),
        ({"match quality": ["HIGH", None, "HIGH"]}, "low_match_quality"),
    ],
)
def test_manatts_bad_row_is_named_and_the_others_stay(tmp_path, changes, reason):
    utterances, refused = read(open_manatts(write_part(tmp_path / "x", **changes)))
    assert [u.name for u in utterances] == ["1-40", "3-42"]
    assert refused["2-41.wav"][0] == reason


def test_manatts_samples_beyond_full_scale_are_not_cut(tmp_path):
    loud = (corpus_layouts.make_tone(0, 44100) * 10).astype(float).tolist()
    utterances, _ = read(open_manatts(write_part(tmp_path / "x", audio=[loud] * 3)))
    waveform, _ = load_audio(utterances[0].audio.content)
    np.testing.assert_allclose(waveform, np.array(loud) / np.max(loud), atol=1e-3)


def test_manatts_missing_parts_or_columns_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no \\*.parquet here or in dataset/"):
        open_manatts(tmp_path)
    pq.write_table(pa.table({"audio": [[0.1]]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet: columns \['CER', 'file name'"):
        open_manatts(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(ValueError, match="a.parquet: no Parquet file"):
        open_manatts(tmp_path)


# ---------------------------------------------------------------- Common Voice


@pytest.fixture
def common_voice(tmp_path) -> Path:
    return corpus_layouts.build_common_voice(tmp_path)


@pytest.fixture
def validated(common_voice) -> Path:
    return common_voice / "cv-corpus-25.0-2026-03-09/fa/validated.tsv"


def test_common_voice_sets_and_mp3_of_48_khz(common_voice):
    utterances, refused = read(open_common_voice(common_voice))
    assert refused == {}
    assert [u.split for u in utterances] == ["test"] * 2 + ["valid"] * 2 + ["train"] * 4
    last = utterances[-1]
    assert last.name == "common_voice_fa_3"
    assert last.text == corpus_layouts.SENTENCES[3]
    assert len(last.speaker) == 16
    assert last.quality["up_votes"] == 3
    waveform, fs = load_audio(last.audio)
    assert fs == 48000 and len(waveform) >= 0.3 * fs
    assert len({u.speaker for u in utterances}) == 4


def test_common_voice_train_list_of_the_release_is_smaller(common_voice):
    utterances, _ = read(open_common_voice(common_voice, train_list="train"))
    assert [u.split for u in utterances].count("train") == 3


def test_common_voice_votes_are_limits_for_training(common_voice, validated):
    text = validated.read_text(encoding="utf-8")
    lines = text.replace("\t3\t0\t", "\t3\t1\t", 1).split("\n")
    validated.write_text("\n".join(lines), encoding="utf-8")
    _, refused = read(open_common_voice(common_voice))
    assert refused == {"common_voice_fa_0.mp3": ("few_votes", "3 for, 1 against")}
    utterances, refused = read(open_common_voice(common_voice, min_up_votes=4))
    assert len(refused) == 4 and len(utterances) == 4  # test sets stay


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x\t../../secret.mp3\ts\ttext" + "\t" * 9, "bad_path"),
        ("x\t/etc/passwd\ts\ttext" + "\t" * 9, "bad_path"),
        ("only\tthree\tfields", "bad_row"),
        ("x\tclip.mp3\ts\t\udce4" + "\t" * 9, "bad_encoding"),
    ],
)
def test_common_voice_bad_line_is_named(common_voice, validated, line, reason):
    with validated.open("ab") as file:
        file.write(line.encode("utf-8", "surrogateescape") + b"\n")
    utterances, refused = read(open_common_voice(common_voice))
    assert len(utterances) == 8
    assert {name: why for name, (why, _) in refused.items()} == {
        "validated.tsv:10": reason
    }


def test_common_voice_quotation_mark_does_not_eat_lines(common_voice, validated):
    text = validated.read_text(encoding="utf-8").replace("امروز", '"امروز', 1)
    validated.write_text(text, encoding="utf-8")
    utterances, _ = read(open_common_voice(common_voice))
    assert [u.text for u in utterances if '"' in u.text] == ['"امروز هوا خوب است.']
    assert len(utterances) == 8


def test_common_voice_older_columns_and_names_are_read(tmp_path):
    header = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent"
    for name in ("train", "dev", "test", "validated"):
        row = f"{name}\tcommon_voice_fa_{name}\tسلام\t2\t0\t\t\t"
        corpus_layouts.write_tsv(tmp_path / f"{name}.tsv", header, row)
    utterances, refused = read(open_common_voice(tmp_path))
    assert refused == {}
    assert utterances[-1].audio == tmp_path / "clips/common_voice_fa_validated.mp3"


def test_common_voice_without_lists_or_columns_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="want the folder of one release"):
        open_common_voice(tmp_path)
    for name in ("test", "dev", "validated"):
        corpus_layouts.write_tsv(tmp_path / f"{name}.tsv", "path\tsentence")
    with pytest.raises(ValueError, match=r"columns \['client_id', 'down_votes'"):
        open_common_voice(tmp_path)


# ---------------------------------------------------------------- FLEURS


@pytest.fixture
def fleurs(tmp_path) -> Path:
    folder = corpus_layouts.build_fleurs(tmp_path / "fa_ir")
    for split in ("train", "dev", "test"):
        archive = folder / f"audio/{split}.tar.gz"
        unpack_archive(archive, folder / "audio" / split)
    return tmp_path


def test_fleurs_rows_without_header_and_float_wav(fleurs):
    utterances, refused = read(open_fleurs(fleurs))
    assert refused == {}
    assert [u.split for u in utterances] == ["train"] * 4 + ["valid"] * 2 + ["test"] * 2
    first = utterances[0]
    assert (first.name, first.speaker) == (f"900_{10**18}", None)
    assert first.text == corpus_layouts.SENTENCES[0]  # with its full stop
    assert first.quality == {"gender": "female"}
    assert load_audio(first.audio)[1] == 16000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1\ta.wav\ttext", "bad_row"),
        ("1\t../a.wav\tt\tt\tt\t1\tMALE", "bad_path"),
        ("1\t\tt\tt\tt\t1\tMALE", "bad_path"),
    ],
)
def test_fleurs_bad_line_is_named(fleurs, line, reason):
    append(fleurs / "fa_ir/dev.tsv", line)
    utterances, refused = read(open_fleurs(fleurs / "fa_ir"))
    assert len(utterances) == 8
    assert refused["dev.tsv:3"][0] == reason


def test_fleurs_missing_list_is_refused(fleurs):
    (fleurs / "fa_ir/dev.tsv").unlink()
    with pytest.raises(FileNotFoundError, match="fa_ir: dev.tsv missing"):
        open_fleurs(fleurs)


# ---------------------------------------------------------------- ParsiGoo


def test_parsigoo_voices_are_speakers_without_synthetic_ones(tmp_path):
    source = corpus_layouts.build_parsigoo(tmp_path / "datasets")
    utterances, refused = read(open_parsigoo(tmp_path))
    assert len(utterances) == 12
    assert {u.speaker for u in utterances} == {"ariana_Male1", "moujeze_Female1"}
    assert refused["edge_Farid/metadata.csv:1"] == ("unwanted_speaker", "edge_Farid")
    assert load_audio(utterances[0].audio)[1] == 22050
    assert len(read(open_parsigoo(source, []))[0]) == 18


HEADER = "audio_file|text|speaker_name"


@pytest.mark.parametrize(
    "change",
    [
        lambda i, text: f"{text}|{i}.wav",
        lambda i, text: f"wavs/{i}.wav|{text}|{text}",
        lambda i, text: f"{i}|ariana|{text}",
        lambda i, text: f"wavs/{i}.wav|{text}|x" if i else HEADER,
    ],
)
def test_parsigoo_columns_in_any_order_are_found(
    tmp_path, change: Callable[[int, str], str]
):
    corpus_layouts.build_parsigoo(tmp_path)
    sentences = corpus_layouts.SENTENCES[:6]
    lines = [change(i, text) for i, text in enumerate(sentences)]
    corpus_layouts.write_tsv(tmp_path / "ariana_Male1/metadata.csv", *lines)
    utterances, _ = read(open_parsigoo(tmp_path))
    found = {u.text: u for u in utterances if u.speaker == "ariana_Male1"}
    assert set(found) | {sentences[0]} == set(sentences)
    assert found[sentences[5]].audio.name == "5.wav"
    assert found[sentences[5]].audio.is_file()


def test_parsigoo_file_outside_of_its_voice_is_refused(tmp_path):
    corpus_layouts.build_parsigoo(tmp_path)
    path = "../moujeze_Female1/wavs/6.wav"
    append(tmp_path / "ariana_Male1/metadata.csv", f"{path}|سلام دنیا")
    utterances, refused = read(open_parsigoo(tmp_path))
    assert len(utterances) == 12
    assert refused["ariana_Male1/metadata.csv:7"] == ("bad_path", path)


def test_parsigoo_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder of a voice with a list"):
        open_parsigoo(tmp_path)
    corpus_layouts.write_tsv(tmp_path / "v/metadata.csv", "some|thing", "more|things")
    with pytest.raises(ValueError, match="none of which are audio files"):
        list(open_parsigoo(tmp_path).rows)


# ---------------------------------------------------------------- Persian Speech Corpus


def test_persian_speech_corpus_quoted_lines_and_wavs(tmp_path):
    source = corpus_layouts.build_persian_speech_corpus(tmp_path)
    utterances, refused = read(open_persian_speech_corpus(source))
    assert refused == {} and len(utterances) == 20
    assert utterances[0].text == corpus_layouts.SENTENCES[0]
    assert load_audio(utterances[0].audio)[1] == 48000
    assert not utterances[7].audio.exists()  # told by the next step


@pytest.mark.parametrize(
    ("line", "name", "text"),
    [
        ('"a" "خب ، تو چیكار می كنی؟"', "a", "خب ، تو چیكار می كنی؟"),
        ("a.wav سلام دنیا", "a", "سلام دنیا"),
        ('"a.wav" "گفت: "سلام""', "a", 'گفت: "سلام"'),
        ('"a.wav" ""', "a", ""),
    ],
)
def test_persian_speech_corpus_other_spellings_of_a_line(tmp_path, line, name, text):
    corpus_layouts.write_tsv(tmp_path / "orthographic-transcript.txt", line)
    utterances, _ = read(open_persian_speech_corpus(tmp_path))
    assert [(u.name, u.text) for u in utterances] == [(name, text)]


def test_persian_speech_corpus_latin_notation_is_refused_by_name(tmp_path):
    lines = ['"a.wav" "slAm dnyA"', '"b.wav"', '"c.wav" "سلام"', '"../d" "سلام"']
    corpus_layouts.write_tsv(tmp_path / "orthographic-transcript.txt", *lines)
    utterances, refused = read(open_persian_speech_corpus(tmp_path))
    assert [u.name for u in utterances] == ["c"]
    assert refused == {
        "a.wav": ("not_persian_script", "slAm dnyA"),
        "orthographic-transcript.txt:2": ("bad_row", '"b.wav"\n'),
        "orthographic-transcript.txt:4": ("bad_path", "../d"),
    }


def test_persian_speech_corpus_without_transcripts_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no orthographic-transcript.txt here"):
        open_persian_speech_corpus(tmp_path)
