"""A corpus with some thirty kinds of damage through the commands of stages 1 to 3.

Each utterance is named after what is wrong with it. Those that are good, or can be
mended, all come out; each other one is in ``dropped.tsv`` with its reason.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_vibevoice.data.audio import load_audio
from espnet_vibevoice.data.dropped import read_dropped
from espnet_vibevoice.data.kaldi import read_table

pytestmark = [pytest.mark.recipe, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
FS = 16000
SENTENCE = "سلام بر همه‌ی شما که این جمله را می‌خوانید."
FOREIGN = "h\u00e9las"  # Latin-1 in the corpus
# What is kept although something was odd about it.
MENDED = ("bits_8", "bom", "channels_5", "crlf", "flac", "link_inside", "mp3")
MENDED += ("ogg", "opus", "path with فاصله".replace(" ", "_"), "rate_44100", "repeated")
DROPPED = {
    "bytes_0": "unreadable",
    "clipped": "clipped",
    "cut_flac": "unreadable",
    "cut_wav": "truncated",
    "duplicate": "duplicate_id",
    "emoji": "no_letters",
    "empty_text": "empty_text",
    "latin_1": "not_utf8",
    "link_outside": "link_out_of_tree",
    "no_file": "unreadable",
    "not_finite": "not_finite",
    "not_in_text": "missing_text",
    "not_in_wav_scp": "missing_audio",
    "of_test": "duplicate_text",
    "sample_1": "too_short",
    "samples_0": "empty",
    "silent": "silent",
    "tab\\tid": "tab_in_id",
    "text_as_wav": "unreadable",
    "text_too_long": "too_many_chars_per_sec",
    "text_too_short": "too_few_chars_per_sec",
    "three_hours": "too_long",
}
GOOD = tuple(f"good_{index}" for index in range(6))
OTHER_CODECS = {
    "flac": {},
    "mp3": {},
    "ogg": {"subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}


def make_voice(seconds=2.0, fs=FS, seed=0):
    """Noise with the level of speech."""
    generator = np.random.default_rng(seed)
    return 0.05 * generator.standard_normal(round(seconds * fs))


def write_audio(folder: Path) -> dict[str, Path]:
    """Write one file per utterance; return its path."""
    names = [*GOOD, *MENDED, *DROPPED]
    paths = {name: folder / f"{name}.wav" for name in names}
    paths["path_with_فاصله"] = folder / "پوشه یک" / "path with فاصله.wav"
    for name in OTHER_CODECS:
        paths[name] = folder / f"{name}.{name}"
    paths["three_hours"] = folder / "three_hours.flac"
    paths["cut_flac"] = folder / "cut_flac.flac"
    paths["path_with_فاصله"].parent.mkdir(parents=True)
    for seed, (name, path) in enumerate(paths.items()):
        soundfile.write(path, make_voice(seed=seed), FS, **OTHER_CODECS.get(name, {}))
    damage_audio(paths)
    return paths


def damage_audio(paths: dict[str, Path]) -> None:
    """Make each file what its name says."""
    voice = make_voice()
    soundfile.write(paths["bits_8"], voice, FS, subtype="PCM_U8")
    soundfile.write(paths["channels_5"], np.tile(voice[:, None], 5), FS)
    soundfile.write(paths["rate_44100"], make_voice(fs=44100), 44100)
    soundfile.write(paths["clipped"], np.clip(20 * voice, -1, 1), FS)
    soundfile.write(paths["silent"], np.zeros(2 * FS), FS)
    soundfile.write(paths["sample_1"], voice[:1] + 0.1, FS)
    soundfile.write(paths["samples_0"], voice[:0], FS)
    soundfile.write(paths["not_finite"], voice * np.nan, FS, subtype="FLOAT")
    with soundfile.SoundFile(paths["three_hours"], "w", 8000, 1) as file:
        for _ in range(18):
            file.write(np.zeros(600 * 8000, dtype=np.int16))
    paths["bytes_0"].write_bytes(b"")
    paths["text_as_wav"].write_text("RIFF is what this text begins with")
    paths["no_file"].unlink()
    for name in ("cut_wav", "cut_flac"):
        paths[name].write_bytes(paths[name].read_bytes()[:20000])
    folder = paths["good_0"].parent
    outside = folder.parent / "outside.wav"
    soundfile.write(outside, voice, FS)
    for name, target in (("link_outside", outside), ("link_inside", "good_0.wav")):
        paths[name].unlink()
        paths[name].symlink_to(target)


def write_tables(folder: Path, paths: dict[str, Path]) -> None:
    """Write wav.scp, text and utt2spk with damage of their own."""
    ids = {name: name.replace("\\t", "\t") for name in paths}
    texts = {name: f"{SENTENCE} {number_name(i)}" for i, name in enumerate(paths)}
    texts |= {"empty_text": "", "emoji": "\U0001f600 \U0001f680", "latin_1": FOREIGN}
    texts |= {"of_test": "«جمله» آزمون، همین است", "text_too_short": "نه"}
    texts["text_too_long"] = SENTENCE * 9
    text_rows = {n: f"{ids[n]} {t}\n".encode() for n, t in texts.items()}
    text_rows["latin_1"] = f"latin_1 {FOREIGN}\n".encode("latin-1")
    text_rows["crlf"] = text_rows["crlf"].replace(b"\n", b"\r\n")
    text_rows["duplicate"] += "duplicate متنی دیگر\n".encode()
    text_rows["repeated"] *= 2
    del text_rows["not_in_text"]
    first = b"\xef\xbb\xbf" + text_rows.pop("bom")
    wav_rows = {name: f"{ids[name]} {path}\n" for name, path in paths.items()}
    del wav_rows["not_in_wav_scp"]
    folder.mkdir(parents=True)
    (folder / "text").write_bytes(first + b"".join(text_rows.values()))
    (folder / "wav.scp").write_text("".join(wav_rows.values()), encoding="utf-8")
    rows = "".join(f"{ids[name]} s1\n" for name in paths)
    (folder / "utt2spk").write_text(rows, encoding="utf-8")


def number_name(number: int) -> str:
    """Spell a number with letters, so that no two sentences are equal."""
    return "".join("ابپتثجچحخد"[int(digit)] for digit in str(number))


@pytest.fixture
def corpus(tmp_path):
    """Damaged training set and a good test set below ``data``."""
    paths = write_audio(tmp_path / "corpus")
    write_tables(tmp_path / "data" / "train", paths)
    test = tmp_path / "data" / "test"
    test.mkdir()
    (test / "text").write_text("t1 جمله آزمون همین است.\n", encoding="utf-8")
    (test / "wav.scp").write_text(f"t1 {paths['good_1']}\n", encoding="utf-8")
    (test / "utt2spk").write_text("t1 s2\n")
    return tmp_path


class Stages:
    """The commands that a recipe calls, in a folder of its own."""

    def __init__(self, root: Path):
        self.root = root

    def call(self, command: str, *words: object, status: int = 0) -> str:
        """Run a command that must end with a status; return what it says."""
        result = subprocess.run(
            [sys.executable, "-m", f"espnet_vibevoice.bin.{command}", *map(str, words)],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == status, result.stdout
        assert "Traceback" not in result.stdout
        return result.stdout

    def format(self, name: str, nj: int, limit: float) -> None:
        """Stage 2 of one set."""
        data, org = f"data/{name}", f"org/{name}"
        split = (f"{data}/wav.scp", "--nj", nj, "--out", f"log/{name}.JOB.scp")
        size = len(read_table(self.root / data / "wav.scp"))
        for job in range(1, int(self.call("split_scp", *split)) + 1):
            words = ("--wav_scp", f"log/{name}.{job}.scp", "--out_dir", org)
            words += ("--job", job, "--set_size", size, "--max_dropped", limit)
            self.call("format_wav_scp", *words)
        words = ("--source", data, "--out_dir", org, "--nj", nj)
        self.call("collect_parts", *words, "--max_dropped", limit)

    def run(self, limit: float) -> str:
        """Stages 1 to 3; return what the last one says of the training set."""
        self.call("fix_data_dir", "data/train", "data/test", "--max_dropped", limit)
        self.call("validate_data_dir", "data/train", "data/test")
        self.call("check_disjoint", "data/train", "data/test", "--utterances_only")
        self.format("train", 3, limit)
        self.format("test", 1, 0)
        words = ("--source", "org/test", "--target", "raw/test", "--keep_all")
        self.call("filter_data_dir", *words)
        said = self.filter_train("--max_dropped", limit)
        self.call("check_disjoint", "raw/train", "raw/test")
        return said

    def filter_train(self, *options: object, status: int = 0) -> str:
        """Stage 3 of the training set."""
        words = ("--source", "org/train", "--target", "raw/train")
        words += ("--held_out", "raw/test", "--min_wav_duration", 0.5)
        words += ("--min_chars_per_sec", 3, "--max_chars_per_sec", 50)
        return self.call("filter_data_dir", *words, *options, status=status)

    def read_files(self) -> dict[str, bytes]:
        """All that was made."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for name in ("data", "org", "raw")
            for path in (self.root / name).rglob("*")
            if path.is_file()
        }


def test_damaged_corpus_good_ones_survive_and_each_bad_one_is_named(corpus):
    stages = Stages(corpus)
    said = stages.run(limit=0.6)
    raw = corpus / "raw" / "train"
    dropped = read_dropped(raw / "dropped.tsv")
    assert {utt_id: entry.reason for utt_id, entry in dropped.items()} == DROPPED
    assert sorted(read_table(raw / "text")) == sorted((*GOOD, *MENDED))
    assert dropped["three_hours"].limit == "600 s"
    for place in read_table(raw / "wav.scp").values():
        waveform, fs = load_audio(corpus / place)
        assert fs == 24000 and waveform.ndim == 1
        assert len(waveform) == pytest.approx(48000, rel=0.06)  # mp3 adds a little
        level = 20 * np.log10(np.sqrt(np.mean(waveform**2)))
        assert level == pytest.approx(-25, abs=0.1)
    assert (raw / "filter_report.txt").read_text(encoding="utf-8") in said
    first = stages.read_files()
    assert stages.run(limit=0.6) == said
    assert stages.read_files() == first


def test_damaged_corpus_above_the_limit_each_stage_fails_with_the_reason(corpus):
    stages = Stages(corpus)
    listing = "All are in data/train/dropped.tsv"
    said = stages.call("fix_data_dir", "data/train", "--max_dropped", 0.01, status=1)
    assert "error: 7 of 40 utterances are unusable, the limit is 1.00%" in said
    assert "The largest reason is" in said and listing in said
    stages.run(limit=0.6)
    words = ("--source", "data/train", "--out_dir", "org/train", "--nj", 3)
    said = stages.call("collect_parts", *words, status=1)
    assert "The largest reason is unreadable: 4 (12.12%)" in said
    said = stages.filter_train(status=1)
    assert "error: 22 of 40 utterances are unusable" in said
