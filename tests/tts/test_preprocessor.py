import numpy as np
import pytest
import torch
from espnet2.train.collate_fn import CommonCollateFn

from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.preprocessor import PromptSource, VibeVoicePreprocessor


@pytest.fixture
def preprocess(tiny_base):
    return VibeVoicePreprocessor(True, load_tokenizer(tiny_base))


def test_preprocessor_text_becomes_ids(preprocess):
    speech = np.zeros(5, dtype=np.float32)
    data = preprocess("u1", {"text": "سلام", "speech": speech})
    assert data["speech"] is speech
    assert data["text"].dtype == np.int64
    assert data["text"].tolist() == preprocess.tokenizer.encode("سلام")


def test_preprocessor_ids_pass_through(preprocess):
    ids = np.array([1, 2])
    assert preprocess("u1", {"text": ids})["text"] is ids
    assert preprocess("u1", {}) == {}


def test_preprocessor_empty_text_raises_with_the_utterance(preprocess):
    with pytest.raises(UtteranceError, match="fa_0007: text: text ' ' is empty"):
        preprocess("fa_0007", {"text": " "})


class Dataset(dict):
    """As ESPnet's: indexing gives the id as well."""

    def __getitem__(self, uid):
        return uid, super().__getitem__(uid)


@pytest.fixture
def make_preprocess(tiny_base):
    """Preprocessor of three utterances; ``long`` prompts itself."""

    def make(train, drop_rate=0.0, max_frames=5):
        dataset = Dataset(
            {
                utt_id: {
                    "text": np.array([7, 8]),
                    "speech": np.arange(2 * frames, dtype=np.float32).reshape(-1, 2),
                }
                for utt_id, frames in {"a": 4, "b": 3, "long": 9}.items()
            }
        )
        utt2prompt = {"a": "b", "b": "long", "long": "long", "c": "a"}
        source = PromptSource(utt2prompt, dataset, drop_rate, max_frames)
        return VibeVoicePreprocessor(train, load_tokenizer(tiny_base), source)

    return make


def prepare(preprocess, uid):
    data = preprocess(uid, {"text": "سلام", "speech": np.ones((6, 2), np.float32)})
    return data["prompt_text"], data["prompt_feats"]


@pytest.mark.parametrize("train", [True, False])
def test_preprocessor_prompt_is_the_other_utterance(make_preprocess, train):
    text, feats = prepare(make_preprocess(train), "a")
    assert text.tolist() == [7, 8]
    assert feats.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_preprocessor_long_prompt_is_cut_and_loses_its_transcript(make_preprocess):
    text, feats = prepare(make_preprocess(False), "b")
    assert text.dtype == np.int64 and len(text) == 0
    assert feats[:, 0].tolist() == [0, 2, 4, 6, 8]
    torch.manual_seed(0)
    preprocess = make_preprocess(True)
    starts = {int(prepare(preprocess, "b")[1][0, 0]) // 2 for _ in range(60)}
    assert starts == {0, 1, 2, 3, 4}


def test_preprocessor_own_prompt_is_half_at_most(make_preprocess):
    text, feats = prepare(make_preprocess(False, max_frames=99), "long")
    assert len(text) == 0
    assert len(feats) == 4


@pytest.mark.parametrize(
    ("train", "rate", "wanted"), [(True, 0.25, 0.75), (True, 0, 1), (False, 0.25, 1)]
)
def test_preprocessor_drops_prompts_in_training_only(
    make_preprocess, train, rate, wanted
):
    torch.manual_seed(0)
    preprocess = make_preprocess(train, drop_rate=rate)
    given = [prepare(preprocess, "a") for _ in range(400)]
    assert all((len(text) > 0) == (len(feats) > 0) for text, feats in given)
    share = np.mean([len(feats) > 0 for _, feats in given])
    assert share == pytest.approx(wanted, abs=0.06 if train and rate else 0)


def test_preprocessor_dropped_prompt_survives_collation(make_preprocess):
    preprocess = make_preprocess(True, drop_rate=0.5)
    collate = CommonCollateFn(float_pad_value=0.0, int_pad_value=0)
    torch.manual_seed(0)
    lengths = set()
    for _ in range(30):
        rows = [
            (uid, preprocess(uid, {"text": "س", "speech": np.ones((6, 2), np.float32)}))
            for uid in ("a", "b", "c")
        ]
        _, batch = collate(rows)
        assert batch["prompt_feats"].shape[::2] == (3, 2)
        assert batch["prompt_text"].dtype == torch.int64
        frames = batch["prompt_feats_lengths"].tolist()
        assert batch["prompt_feats"].shape[1] == max(frames)
        lengths.add(tuple(frames))
    assert (0, 0, 0) in lengths and (3, 5, 4) in lengths


def draw_starts(preprocess, uids):
    """Where the prompts of ``b`` begin: a long one, cut at random places."""
    prepared = [(uid, prepare(preprocess, uid)[1]) for uid in uids]
    return [int(feats[0, 0]) for uid, feats in prepared if uid == "b"]


def test_preprocessor_draws_follow_seed_and_utterance_not_the_others(make_preprocess):
    starts = []
    for seed, uids in ((4, "bbbbbb"), (4, "ababaabbabab")):
        torch.manual_seed(seed)
        np.random.seed(len(uids))
        starts.append(draw_starts(make_preprocess(True), uids))
    assert len(set(starts[0])) > 1
    assert starts[0] == starts[1][:6]


def test_preprocessor_each_epoch_draws_anew_and_repeats_when_resumed(make_preprocess):
    preprocess = make_preprocess(True)
    epochs = []
    for epoch in (1, 2):
        torch.manual_seed(epoch)  # as ESPnet does
        epochs.append(draw_starts(preprocess, "b" * 12))
    assert epochs[0] != epochs[1]
    torch.manual_seed(2)
    assert draw_starts(make_preprocess(True), "b" * 12) == epochs[1]
