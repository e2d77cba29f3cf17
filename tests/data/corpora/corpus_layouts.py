"""Small corpora with the layouts, codecs and rates of the published ones."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

# \u200c is ZERO WIDTH NON-JOINER.
SENTENCES = [
    "امروز هوا خوب است.",
    "فردا باران می\u200cبارد؟",
    "کتاب من روی میز بزرگ است.",
    "چای داغ روی میز کوچک است.",
    "او دیروز به خانه رفت.",
    "ما شنبه به بازار می\u200cرویم.",
    "این شهر رودخانه دارد.",
    "پدرم نان تازه خرید.",
    "درخت سیب شکوفه داده است.",
    "کودک در باغ بازی می\u200cکند.",
    "قطار ساعت هشت می\u200cرسد.",
    "زمستان امسال سرد بود.",
    "دوست من نقاش است.",
    "پنجره رو به دریا باز می\u200cشود.",
    "معلم درس تازه داد.",
    "مادر چراغ را روشن کرد.",
    "ماه پشت ابر پنهان شد.",
    "برادرم ماشین قدیمی دارد.",
    "گنجشک روی شاخه نشست.",
    "صبح زود بیدار شدم.",
]


def make_tone(index: int, fs: int, sec: float = 0.3) -> np.ndarray:
    """Make a sine whose pitch tells which utterance it is, float32 (T_wav,)."""
    time = np.arange(round(fs * sec)) / fs
    return (0.3 * np.sin(2 * np.pi * (200 + 20 * index) * time)).astype(np.float32)


def write_audio(path: Path, index: int, fs: int, **options: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, make_tone(index, fs), fs, **options)


def encode_wav(index: int, fs: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, make_tone(index, fs), fs, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def make_manatts_rows(count: int = 12, **changes: list) -> dict[str, list]:
    """Columns of a part as the corpus has them: samples, 44.1 kHz, beside the rate."""
    columns = {
        "file name": [f"{i + 1}-{i + 40}.wav" for i in range(count)],
        "transcript": [f"{SENTENCES[i]} " for i in range(count)],
        "duration": [0.3] * count,
        "match quality": ["HIGH"] * (count - 1) + ["MIDDLE"],
        "hypothesis": [SENTENCES[i] for i in range(count)],
        "CER": [0.01 * i for i in range(count)],
        "search type": [1] * count,
        "ASRs": ["['Wav2Vec']"] * count,
        "audio": [make_tone(i, 44100).astype(float).tolist() for i in range(count)],
        "samplerate": [44100] * count,
    }
    return columns | changes


def build_manatts(folder: Path, num_parts: int = 2) -> Path:
    """Two parts; the last row of each has a CER above 0.1."""
    (folder / "dataset").mkdir(parents=True)
    for part in range(num_parts):
        rows = make_manatts_rows()
        rows["file name"] = [f"{part}{name}" for name in rows["file name"]]
        if part:
            rows["transcript"] = [f"{text} دوباره" for text in rows["transcript"]]
        path = folder / "dataset" / f"dataset_part_{part + 1:03d}.parquet"
        pq.write_table(pa.table(rows), path)
    return folder


CV_COLUMNS = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age "
    "gender accents variant locale segment"
)


def build_common_voice(folder: Path) -> Path:
    """One release: four training clips, two of dev, two of test, all in validated."""
    language = folder / "cv-corpus-25.0-2026-03-09" / "fa"
    rows = []
    for index in range(8):
        clip = f"common_voice_fa_{index}.mp3"
        write_audio(language / "clips" / clip, index, 48000, format="MP3")
        speaker = hashlib.sha512(bytes([index // 2])).hexdigest()
        values = [speaker, clip, f"s{index}", SENTENCES[index], "", "3", "0"]
        rows.append("\t".join([*values, "twenties", "female", "", "", "fa", ""]))
    lists = {"train": rows[:3], "dev": rows[4:6], "test": rows[6:], "validated": rows}
    for name, chosen in lists.items():
        write_tsv(language / f"{name}.tsv", CV_COLUMNS.replace(" ", "\t"), *chosen)
    return folder


def write_tsv(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def build_fleurs(folder: Path) -> Path:
    """Lists and archives as published: a sentence is spoken twice."""
    index = 0
    for split, count in (("train", 4), ("dev", 2), ("test", 2)):
        lines = []
        for _ in range(count):
            name = f"{10**18 + index}.wav"
            write_audio(folder / split / name, index, 16000, subtype="FLOAT")
            text = SENTENCES[index - index % 2]
            fields = [str(900 + index // 2), name, text, text.rstrip("."), "ا م |"]
            lines.append("\t".join([*fields, "4800", "FEMALE"]))
            index += 1
        write_tsv(folder / f"{split}.tsv", *lines)
        archive = folder / "audio" / f"{split}.tar.gz"
        archive.parent.mkdir(exist_ok=True)
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder / split, split)
    return folder


def build_parsigoo(folder: Path, archive: Path | None = None) -> Path:
    """Three voices, one of them synthetic; as a folder or as ``datasets.zip``."""
    for number, voice in enumerate(("ariana_Male1", "moujeze_Female1", "edge_Farid")):
        lines = []
        for index in range(number * 6, number * 6 + 6):
            write_audio(folder / voice / "wavs" / f"{index}.wav", index, 22050)
            lines.append(f"{index}|{SENTENCES[index]}")
        write_tsv(folder / voice / "metadata.csv", *lines)
    return zip_folder(folder, archive)


def build_persian_speech_corpus(folder: Path, archive: Path | None = None) -> Path:
    """Twenty sentences, of which one has no wav."""
    corpus = folder / "persian-speech-corpus"
    lines = []
    for index, text in enumerate(SENTENCES):
        if index != 7:
            write_audio(corpus / "wav" / f"PERS {index:04d}.wav", index, 48000)
        lines.append(f'"PERS {index:04d}.wav" "{text}"')
    write_tsv(corpus / "orthographic-transcript.txt", *lines)
    write_tsv(corpus / "phonetic-transcript.txt", '"PERS 0000.wav" "e m r u z"')
    return zip_folder(corpus, archive)


def zip_folder(folder: Path, archive: Path | None) -> Path:
    if archive is None:
        return folder
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(folder.rglob("*")):
            target.write(path, path.relative_to(folder.parent))
    return archive


def build_jsonl(folder: Path, count: int = 12) -> Path:
    """A manifest with all fields; each utterance is prompted by the one before."""
    lines = []
    for index in range(count):
        write_audio(folder / "wavs" / f"{index}.flac", index, 24000)
        row = {
            "audio": f"wavs/{index}.flac",
            "text": f"Speaker 0: {SENTENCES[index]}",
            "speaker": f"گوینده {index % 3}",
            "duration": 0.3,
            "dataset_id": "mine",
        }
        if index:
            row["voice_prompts"] = [f"wavs/{index - 1}.flac"]
        lines.append(json.dumps(row, ensure_ascii=False))
    write_tsv(folder / "all.jsonl", *lines)
    return folder / "all.jsonl"


def build_hf_dataset(folder: Path) -> Path:
    """What ``DatasetDict.save_to_disk`` writes: Arrow streams and JSON beside them."""
    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    index = 0
    for split, count in (("train", 4), ("validation", 2), ("test", 2)):
        part = folder / split
        part.mkdir(parents=True)
        chosen = range(index, index + count)
        values = [{"bytes": encode_wav(i, 16000), "path": f"{i}.wav"} for i in chosen]
        table = pa.table(
            {
                "audio": pa.array(values, audio),
                "sentence": [SENTENCES[i] for i in chosen],
                "speaker_id": pa.array([7] * count, pa.int64()),
            }
        )
        name = "data-00000-of-00001.arrow"
        with pa.ipc.new_stream(str(part / name), table.schema) as stream:
            stream.write_table(table)
        state = {"_data_files": [{"filename": name}], "_format_type": None}
        (part / "state.json").write_text(json.dumps(state))
        index += count
    splits = {"splits": ["train", "validation", "test"]}
    (folder / "dataset_dict.json").write_text(json.dumps(splits))
    return folder
