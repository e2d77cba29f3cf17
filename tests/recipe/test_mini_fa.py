"""Four sentences through stages 1 to 7, and what lies there afterwards."""

import re

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_vibevoice.data.kaldi import read_table

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

TEST_UTTERANCES = ["fa_f1_test_0001", "fa_f2_test_0002"]


def snapshot(recipe):
    """Inode, time of change and size of all that a run has made; folders by name."""
    paths = [
        path
        for name in ("data", "dump", "exp", "downloads")
        for path in (recipe.folder / name).rglob("*")
    ]
    return {
        path: path.is_dir() or (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        for path in paths
        for stat in [path.lstat()]
    }


def test_run_all_stages_end_with_a_summary(finished):
    output = (finished.root / "run.log").read_text(encoding="utf-8")
    done = re.findall(r"Stage (\d): done \[stage: \d+ s, in all: \d+ s\]", output)
    assert done == list("1234567")
    assert "Successfully finished. [elapsed=" in output.splitlines()[-1]


def test_run_decoding_gives_plausible_wavs_of_the_whole_test_set(finished):
    natural = read_table(finished.folder / "dump/raw/test/wav.scp")
    assert sorted(natural) == TEST_UTTERANCES
    for utt_id, path in natural.items():
        waveform, fs = soundfile.read(finished.decoded / "wav" / f"{utt_id}.wav")
        natural_sec = soundfile.info(finished.folder / path).duration
        assert fs == 24000
        assert np.isfinite(waveform).all()
        assert 0.2 * natural_sec < len(waveform) / fs < 3 * natural_sec
        assert np.sqrt(np.mean(waveform**2)) > 0.003  # -50 dBFS
        assert np.mean(np.abs(waveform) > 0.999) < 0.001
    header, *rows = (
        (finished.decoded / "decoding.tsv").read_text(encoding="utf-8").splitlines()
    )
    assert header.startswith("utterance\tseconds\tlevel_dbfs\tpeak\tfaults")
    assert [row.split("\t")[0] for row in rows] == TEST_UTTERANCES
    assert {row.split("\t")[4] for row in rows} == {""}


def test_run_latents_equal_encoding_again(finished, monkeypatch):
    from espnet_vibevoice.data.encoding import AudioEncoder

    monkeypatch.chdir(finished.folder)
    encoder = AudioEncoder("downloads/mini_base")
    for name in ("train", "valid"):
        dumped = kaldiio.load_scp(f"dump/latents/{name}/feats.scp")
        audio = read_table(f"dump/raw/{name}/wav.scp")
        shapes = read_table(f"exp/{stats_folder()}/{name}/speech_shape")
        assert list(dumped) == list(audio)
        for utt_id, path in audio.items():
            samples = soundfile.info(path).frames
            assert dumped[utt_id].shape == (-(-samples // 3200), 64)
            assert shapes[utt_id] == str(len(dumped[utt_id]))
            again = encoder.encode_file(utt_id, path)
            np.testing.assert_array_equal(dumped[utt_id], again)


@pytest.mark.parametrize("name", ["train", "valid"])
def test_run_training_is_prompted_by_the_same_speaker(finished, name):
    utt2spk = read_table(finished.folder / f"dump/raw/{name}/utt2spk")
    prompts = read_table(finished.experiment / f"utt2prompt.{name}")
    assert prompts.keys() == utt2spk.keys()
    for utt_id, prompt in prompts.items():
        assert utt2spk[prompt] == utt2spk[utt_id]
        is_alone = list(utt2spk.values()).count(utt2spk[utt_id]) == 1
        assert (prompt == utt_id) == is_alone


def stats_folder():
    return "tts_stats_raw_vibevoice_latents_hugging_face"


@pytest.mark.parametrize(
    "pattern, count",
    [
        ("exp/tts_t/images/loss.png", 1),
        ("exp/tts_t/images/diffusion_loss.png", 1),
        ("exp/tts_t/tensorboard/train/events.*", 1),
        ("exp/tts_t/tensorboard/valid/events.*", 1),
        ("exp/tts_t/train.log", 1),
        ("exp/tts_t/valid.diffusion_loss.ave_2best.pth", 1),
        ("exp/tts_t/decode_*/test/images/*.png", 2),
        ("exp/tts_t/decode_*/test/probs/*.png", 2),
        ("exp/tts_t/decode_*/test/log/decode.*.log", 2),
        ("dump/raw/org/train/logs/format.*.log", 2),
        ("dump/latents/train/logs/dump_latents.*.log", 2),
        ("dump/token_list/hugging_face/token_rate.txt", 1),
        ("dump/token_list/hugging_face/token_rate.png", 1),
        ("dump/raw/*/filter_report.txt", 3),
        ("dump/ceilings/test/resynthesis/wav/*.wav", 2),
        ("dump/ceilings/test/*/asr_mini_ctc/log/recognize.1.log", 2),
        ("exp/tts_t/decode_*/test/score/report.html", 1),
        ("exp/tts_t/RESULTS.md", 1),
    ],
)
def test_run_leaves_logs_and_pictures(finished, pattern, count):
    found = list(finished.folder.glob(pattern))
    assert len(found) == count
    assert all(path.stat().st_size > 0 for path in found)


def test_run_leaves_no_temporary_files(finished):
    left = [
        path
        for pattern in ("*.tmp", "*.part", "*.broken")
        for path in finished.folder.rglob(pattern)
    ]
    assert left == []


def test_run_again_recomputes_nothing(copied):
    before = snapshot(copied)
    output = copied.succeed(1, 7)
    assert snapshot(copied) == before
    assert output.count("is up to date") == 20


def test_run_texts_are_the_sentences_and_the_model_knows_its_cleaner(finished):
    for name in ("train", "valid", "test"):
        path = finished.folder / "local/sentences" / f"{name}.txt"
        sentences = path.read_text(encoding="utf-8").splitlines()
        for table in ("text", "text.raw"):
            texts = read_table(finished.folder / "dump/raw" / name / table)
            assert set(texts.values()) == set(sentences)
    config = (finished.experiment / "config.yaml").read_text(encoding="utf-8")
    assert "\ncleaner: persian\n" in config


def test_run_auto_window_is_measured_and_reaches_the_model(copied):
    args = "--max_epoch 1 --num_iters_per_epoch 2 --tts_conf text_window=auto"
    output = copied.succeed(4, 6, "--tag", "auto", "--train_args", args)
    assert "text_window: auto takes 5" in output
    config = copied.folder / "exp/tts_auto/config.yaml"
    assert "\n    text_window: 5\n" in config.read_text(encoding="utf-8")


def test_run_other_tokenizer_repeats_the_token_stage(copied):
    path = copied.folder / "downloads/mini_base/tokenizer_config.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert "token_list/hugging_face is up to date" not in copied.succeed(4, 4)
    assert "token_list/hugging_face is up to date" in copied.succeed(4, 4)


def test_run_other_number_of_jobs_gives_the_same_data(finished, copied, monkeypatch):
    for name in ("dump/raw", "dump/latents/train"):
        for path in (copied.folder / name).rglob(".done"):
            path.unlink()
    copied.succeed(2, 5, "--nj", "1")
    for name in ("dump/raw/train", "dump/raw/valid", "dump/raw/test"):
        assert copied.read_files(name) == finished.read_files(name)
    latents = {}
    for recipe in (finished, copied):
        monkeypatch.chdir(recipe.folder)
        latents[recipe] = dict(kaldiio.load_scp("dump/latents/train/feats.scp"))
    assert list(latents[copied]) == list(latents[finished])
    for utt_id, wanted in latents[finished].items():
        np.testing.assert_array_equal(latents[copied][utt_id], wanted)
