"""Voice prompts in training: found, batched, learnt from, absent in decoding."""

import logging

import numpy as np
import pytest
import torch
from espnet2.bin import tts_inference
from espnet2.train.distributed_utils import DistributedOption
from espnet2.tts.espnet_model import ESPnetTTSModel

from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.tts.espnet_model import VibeVoiceESPnetModel
from espnet_vibevoice.tts.preprocessor import VibeVoicePreprocessor
from espnet_vibevoice.tts.prompts import build_prompt_source, validate_prompt_settings
from espnet_vibevoice.tts.task import VibeVoiceTTSTask, use_dumped_latents

PLAIN = VibeVoicePreprocessor(False, tokenizer=None)


@pytest.fixture
def make_batch(make_train_args):
    """Build the first batch of the whole corpus as ESPnet's trainer gets it."""

    def make(folder, mode, *words):
        words = [*words, "--batch_type", "unsorted", "--batch_size", "3"]
        args = make_train_args(folder, *words)
        args.valid_batch_size = 3
        VibeVoiceTTSTask.complete_args(args)
        for name in ("train", "valid"):
            use_dumped_latents(args, name)
        folder.mkdir(exist_ok=True)
        factory = VibeVoiceTTSTask.build_iter_factory(args, DistributedOption(), mode)
        return next(iter(factory.build_iter(1)))

    return make


def test_valid_batch_has_all_prompts(make_batch, tmp_path, stats_dir):
    ids, batch = make_batch(tmp_path / "exp", "valid")
    assert read_table(tmp_path / "exp/utt2prompt.valid") == {
        "u1": "u2",
        "u2": "u1",
        "u3": "u3",
    }
    rows = {utt_id: row for row, utt_id in enumerate(ids)}
    frames = batch["prompt_feats_lengths"]
    assert {utt_id: int(frames[row]) for utt_id, row in rows.items()} == {
        "u1": 3,
        "u2": 4,
        "u3": 3,  # half of itself
    }
    text_of_u1 = batch["text"][rows["u1"], : batch["text_lengths"][rows["u1"]]]
    prompt = batch["prompt_text"][rows["u2"]]
    assert prompt[: batch["prompt_text_lengths"][rows["u2"]]].equal(text_of_u1)
    assert batch["prompt_text_lengths"][rows["u3"]] == 0
    latents = np.load(stats_dir / "train/collect_feats/data_feats/u1.npy")
    assert np.array_equal(batch["prompt_feats"][rows["u2"], :4], latents)


def test_train_batches_follow_the_drop_rate(make_batch, tmp_path):
    shares = {}
    for rate in (0.0, 0.5):
        lengths = []
        for epoch in range(10):
            torch.manual_seed(epoch)  # as ESPnet does
            _, batch = make_batch(
                tmp_path / "exp", "train", "--tts_conf", f"prompt_drop_rate={rate}"
            )
            lengths.append(batch["prompt_feats_lengths"])
        shares[rate] = float((torch.stack(lengths) > 0).float().mean())
    assert shares[0.0] == 1.0
    assert 0.2 < shares[0.5] < 0.8


def test_train_drop_rate_of_one_makes_no_prompts(make_batch, tmp_path):
    words = ["--tts_conf", "prompt_drop_rate=1"]
    for mode in ("train", "valid"):
        assert "prompt_feats" not in make_batch(tmp_path / "exp", mode, *words)[1]
    assert not (tmp_path / "exp/utt2prompt.train").exists()


def test_longest_prompt_is_a_setting(make_batch, tmp_path):
    words = ["--tts_conf", "max_prompt_sec=0.3"]  # two frames and a bit
    _, batch = make_batch(tmp_path / "exp", "valid", *words)
    assert batch["prompt_feats_lengths"].tolist() == [2, 2, 2]
    assert batch["prompt_text_lengths"].tolist() == [0, 0, 0]


def test_training_learns_from_prompts_and_decoding_needs_none(
    make_train_args, tmp_path, monkeypatch
):
    states = {}
    for rate in (0, 1):
        folder = tmp_path / str(rate)
        words = ["--tts_conf", f"prompt_drop_rate={rate}"]
        VibeVoiceTTSTask.main(make_train_args(folder, *words))
        states[rate] = torch.load(folder / "1epoch.pth")
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0])
    monkeypatch.setattr(tts_inference, "TTSTask", VibeVoiceTTSTask)
    speak = tts_inference.Text2Speech(
        tmp_path / "0/config.yaml", tmp_path / "0/1epoch.pth"
    )
    assert speak.preprocess_fn.prompts is None
    assert torch.isfinite(speak("سلام")["wav"]).all()


def test_model_hands_prompts_to_ours(make_train_args, make_batch, tmp_path):
    args = make_train_args(tmp_path)
    model = VibeVoiceTTSTask.build_model(args).eval()
    assert isinstance(model, VibeVoiceESPnetModel)
    _, batch = make_batch(tmp_path / "exp", "valid")
    without = {k: v for k, v in batch.items() if not k.startswith("prompt")}
    prompted, _, weight = model(**batch, utt_id=["a", "b", "c"])
    assert weight == 3
    assert not torch.allclose(prompted, model(**without)[0], atol=1e-6)
    espnets = ESPnetTTSModel(model.feats_extract, *[None] * 5, model.tts).eval()
    assert torch.equal(model(**without)[0], espnets(**without)[0])


def test_model_hands_utterance_ids_to_ours(make_train_args, make_batch, tmp_path):
    model = VibeVoiceTTSTask.build_model(make_train_args(tmp_path)).eval()
    ids, batch = make_batch(tmp_path / "exp", "valid")
    swapped = [ids[1], ids[0], *ids[2:]]
    losses = [model(**batch, utt_id=given)[0] for given in (ids, list(ids), swapped)]
    assert torch.equal(losses[0], losses[1])
    assert not torch.allclose(losses[0], losses[2], atol=1e-6)
    with pytest.raises(RuntimeError, match="4 utterance ids for 3 utterances: several"):
        model(**batch, utt_id=[*ids, "another"])


def test_reconstruction_loss_is_told_where_it_is_on(
    make_train_args, make_batch, tmp_path
):
    args = make_train_args(tmp_path, "--tts_conf", "reconstruction_weight=0.01")
    model = VibeVoiceTTSTask.build_model(args).eval()
    _, batch = make_batch(tmp_path / "exp", "valid")
    loss, stats, _ = model(**batch)
    assert stats["reconstruction_loss"] > 0
    rest = stats["diffusion_loss"] + 0.1 * stats["eos_loss"]
    assert loss.item() == pytest.approx(
        (rest + 0.01 * stats["reconstruction_loss"]).item(), rel=1e-5
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((1.5, 30), "prompt_drop_rate is 1.5, max_prompt_sec 30: the first must be in"),
        ((-0.1, 30), "prompt_drop_rate is -0.1"),
        ((0.2, 0), "max_prompt_sec 0: .* the second above 0"),
    ],
)
def test_validate_prompt_settings_out_of_range_raises(settings, message):
    with pytest.raises(ValueError, match=message):
        validate_prompt_settings(*settings)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("prompt_drop_rate=2", "prompt_drop_rate is 2"),
        ("prompt_text_type=3", "prompt_text_type is 3: choose 0"),
    ],
)
def test_build_model_wrong_prompt_setting_raises(
    make_train_args, tmp_path, word, message
):
    with pytest.raises(ValueError, match=message):
        VibeVoiceTTSTask.build_model(make_train_args(tmp_path, "--tts_conf", word))


def test_build_prompt_source_split_data_raises(tiny_base, tmp_path):
    data = [(str(tmp_path), "text", "text"), (str(tmp_path), "speech", "npy")]
    with pytest.raises(ValueError, match="data split into parts have no voice prompts"):
        build_prompt_source({"base": str(tiny_base)}, data, [], PLAIN)


def test_build_prompt_source_takes_the_table_of_the_data(
    tiny_base, corpus, stats_dir, tmp_path, caplog
):
    write_table(tmp_path / "text", read_table(corpus / "text"))
    write_table(tmp_path / "utt2spk", read_table(corpus / "utt2spk"))
    write_table(tmp_path / "utt2prompt", {"u1": "u3", "u2": "u3", "u3": "u1"})
    data = [
        (str(tmp_path / "text"), "text", "text"),
        (str(stats_dir / "train/collect_feats/feats.scp"), "speech", "npy"),
    ]
    with caplog.at_level(logging.WARNING):
        source = build_prompt_source({"base": str(tiny_base)}, data, [], PLAIN)
    assert source.utt2prompt == {"u1": "u3", "u2": "u3", "u3": "u1"}
    assert source.max_frames == 225
    assert caplog.text == ""
