"""A raw sentence and its prepared transcript give the same tokens and speech."""

import logging
import pickle

import numpy as np
import pytest
import torch
from espnet2.bin.tts_inference import Text2Speech

from espnet_vibevoice.bin import make_voice_prompt
from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.text import normalize_persian
from espnet_vibevoice.text.cleaners import find_cleaner
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.preprocessor import VibeVoicePreprocessor
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

RAW = "ساعت ۱۰:۳۰، ۲۵٪ كتاب\u200cها 😊"  # ZERO WIDTH NON-JOINER
PREPARED = normalize_persian(RAW)


@pytest.fixture
def preprocess(tiny_base):
    clean = find_cleaner("persian")
    return VibeVoicePreprocessor(False, load_tokenizer(tiny_base), clean=clean)


def test_preprocessor_raw_and_prepared_text_give_the_same_ids(preprocess):
    assert PREPARED != RAW
    raw, prepared = (
        preprocess("u", {"text": text})["text"] for text in (RAW, PREPARED)
    )
    assert raw.dtype == np.int64
    assert raw.tolist() == prepared.tolist() == preprocess.tokenizer.encode(PREPARED)


def test_preprocessor_names_utterance_and_what_it_dropped(preprocess, caplog):
    with caplog.at_level(logging.WARNING):
        preprocess("fa_0007", {"text": "سلام б"})
        preprocess("fa_0008", {"text": PREPARED})
    (record,) = caplog.records
    assert record.getMessage() == (
        "fa_0007: dropped, no reading is known: 'б' U+0431 (1)"
    )


def test_preprocessor_text_without_a_reading_raises_with_the_raw_text(preprocess):
    with pytest.raises(UtteranceError, match="fa_0007: .* It was made of '😊'"):
        preprocess("fa_0007", {"text": "😊"})


def test_preprocessor_without_a_cleaner_leaves_text_alone(tiny_base):
    preprocess = VibeVoicePreprocessor(False, load_tokenizer(tiny_base))
    wanted = preprocess.tokenizer.encode(RAW)
    assert preprocess("u", {"text": RAW})["text"].tolist() == wanted


def test_preprocessor_with_a_cleaner_reaches_worker_processes(preprocess):
    copy = pickle.loads(pickle.dumps(preprocess))
    assert copy("u", {"text": RAW})["text"].tolist() == (
        preprocess("u", {"text": PREPARED})["text"].tolist()
    )


@pytest.mark.parametrize(
    ("name", "wanted"), [("persian", PREPARED), ("none", RAW)], ids=["persian", "none"]
)
def test_task_cleaner_option_reaches_the_preprocessor(
    make_args, tmp_path, name, wanted
):
    args = make_args(tmp_path, "--cleaner", name)
    preprocess = VibeVoiceTTSTask.build_preprocess_fn(args, train=True)
    ids = preprocess("u", {"text": RAW})["text"].tolist()
    assert ids == preprocess.tokenizer.encode(wanted)


def test_task_unknown_cleaner_is_refused_by_the_parser(make_args, tmp_path, capsys):
    with pytest.raises(SystemExit):
        make_args(tmp_path, "--cleaner", "persan")
    assert "invalid choice: 'persan'" in capsys.readouterr().err


def test_task_cleaner_of_another_language_raises(make_args, tmp_path):
    args = make_args(tmp_path, "--cleaner", "vietnamese")
    with pytest.raises(ValueError, match="cleaner is vietnamese, .* none and persian"):
        VibeVoiceTTSTask.complete_args(args)


def test_task_window_that_is_not_measured_raises(make_args, tmp_path):
    args = make_args(tmp_path, "--tts_conf", "text_window=auto")
    with pytest.raises(ValueError, match="text_window is auto, .* stage 4"):
        VibeVoiceTTSTask.complete_args(args)


@pytest.fixture(scope="module")
def trained(make_train_args, tmp_path_factory):
    """An experiment of one epoch whose configuration names the cleaner."""
    folder = tmp_path_factory.mktemp("exp")
    VibeVoiceTTSTask.main(make_train_args(folder, "--cleaner", "persian"))
    return folder


def test_text2speech_raw_sentence_and_its_transcript_sound_alike(trained, monkeypatch):
    monkeypatch.setattr("espnet2.bin.tts_inference.TTSTask", VibeVoiceTTSTask)
    speak = Text2Speech(
        train_config=trained / "config.yaml",
        model_file=trained / "1epoch.pth",
        seed=0,
        always_fix_seed=True,
    )
    raw, prepared, other = (speak(t)["wav"] for t in (RAW, PREPARED, "سلام دنیا"))
    assert torch.equal(raw, prepared)
    assert not torch.equal(raw, other)


def test_make_voice_prompt_reads_its_transcript(caplog):
    words = ["--wav", "a.wav", "--base", "b", "--out", "c.safetensors", "--text", RAW]
    options = make_voice_prompt.get_parser().parse_args(words)
    assert make_voice_prompt.read_transcript(options) == RAW
    options = make_voice_prompt.get_parser().parse_args([*words, "--cleaner=persian"])
    assert make_voice_prompt.read_transcript(options) == PREPARED
    assert "transcript: dropped, no reading is known: '😊' U+1F60A (1)" in caplog.text


def test_training_prompts_are_cleaned_too(make_train_args, tmp_path):
    from espnet2.train.distributed_utils import DistributedOption

    args = make_train_args(tmp_path, "--cleaner", "persian")
    VibeVoiceTTSTask.complete_args(args)
    options = VibeVoiceTTSTask.build_iter_options(args, DistributedOption(), "train")
    clean = find_cleaner("persian")
    assert options.preprocess_fn.clean is clean
    assert options.preprocess_fn.prompts.dataset.preprocess.clean is clean
    assert options.preprocess_fn.prompts.dataset.preprocess.prompts is None
