import numpy as np
import pytest
import torch
from espnet2.train.collate_fn import CommonCollateFn

from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.preprocessor import PromptSource
from espnet_vibevoice.tts.script_preprocessor import ScriptPreprocessor
from espnet_vibevoice.tts.script_tokenizer import ScriptTokenizer

TALK = "Speaker 1: سلام. Speaker 2: درود."
FRAMES = {"a": 4, "b": 3, "long": 9, "short": 1}
UTT2PROMPT = {"a": "b", "b": "long", "long": "long", "talk": "a b", "short": "short"}


class Dataset(dict):
    """As ESPnet's: indexing gives the id as well."""

    def __getitem__(self, uid):
        return uid, super().__getitem__(uid)


@pytest.fixture
def make_preprocess(tiny_multispeaker_base):
    def make(train=False, drop_rate=0.0, max_frames=5):
        dataset = Dataset()
        for index, (utt_id, frames) in enumerate(FRAMES.items()):
            latents = 100 * index + np.arange(frames, dtype=np.float32)
            dataset[utt_id] = {"speech": np.repeat(latents[:, None], 2, axis=1)}
        source = PromptSource(UTT2PROMPT, dataset, drop_rate, max_frames, False)
        tokenizer = load_tokenizer(tiny_multispeaker_base, kind=ScriptTokenizer)
        return ScriptPreprocessor(train, tokenizer, source)

    return make


def prepare(preprocess, uid, text="سلام"):
    return preprocess(uid, {"text": text, "speech": np.ones((6, 2), np.float32)})


def test_preprocessor_without_prompts_gives_ids_alone(make_preprocess):
    preprocess = make_preprocess()
    preprocess.prompts = None
    data = preprocess("x", {"text": TALK})
    assert list(data) == ["text"] and data["text"].dtype == np.int64
    assert data["text"].tolist() == preprocess.tokenizer.encode(TALK)


@pytest.mark.parametrize("train", [True, False])
def test_preprocessor_dialogue_has_a_voice_for_each_speaker(make_preprocess, train):
    preprocess = make_preprocess(train)
    data = prepare(preprocess, "talk", TALK)
    assert data["prompt_feats"][:, 0].tolist() == [0, 1, 2, 3, 100, 101, 102]
    assert data["text"].tolist() == preprocess.tokenizer.encode(TALK, [4, 3])


def test_preprocessor_long_voice_is_cut_at_random_in_training(make_preprocess):
    torch.manual_seed(0)
    preprocess = make_preprocess(True)
    starts = set()
    for _ in range(60):
        data = prepare(preprocess, "b")
        assert data["prompt_feats"].shape == (5, 2)
        starts.add(int(data["prompt_feats"][0, 0]) - 200)
    assert starts == {0, 1, 2, 3, 4}
    assert prepare(make_preprocess(False), "b")["prompt_feats"][0, 0] == 200


def test_preprocessor_own_voice_is_half_at_most(make_preprocess):
    data = prepare(make_preprocess(max_frames=99), "long")
    assert data["prompt_feats"].shape == (4, 2)


def test_preprocessor_half_of_one_frame_is_no_voice(make_preprocess):
    preprocess = make_preprocess()
    data = prepare(preprocess, "short")
    assert data["prompt_feats"].shape == (0, 2)
    assert data["text"].tolist() == preprocess.tokenizer.encode("سلام")


@pytest.mark.parametrize(
    ("train", "rate", "wanted"), [(True, 0.25, 0.75), (True, 0, 1), (False, 0.25, 1)]
)
def test_preprocessor_drops_all_voices_or_none(make_preprocess, train, rate, wanted):
    torch.manual_seed(0)
    preprocess = make_preprocess(train, drop_rate=rate)
    counts = [len(prepare(preprocess, "talk", TALK)["prompt_feats"]) for _ in range(99)]
    assert set(counts) <= {0, 7}
    share = np.mean([count > 0 for count in counts])
    assert share == pytest.approx(wanted, abs=0.12 if train and rate else 0)


def test_keep_all_prompts_drops_none_and_leaves_the_original(make_preprocess):
    preprocess = make_preprocess(True, drop_rate=1.0)
    kept = preprocess.keep_all_prompts()
    assert type(kept) is ScriptPreprocessor
    assert len(prepare(kept, "a")["prompt_feats"]) == 3
    assert len(prepare(preprocess, "a")["prompt_feats"]) == 0


def test_preprocessor_draws_follow_seed_and_utterance(make_preprocess):
    starts = []
    for uids in ("bbbb", "babab"):
        torch.manual_seed(4)
        preprocess = make_preprocess(True)
        given = [(uid, prepare(preprocess, uid)["prompt_feats"]) for uid in uids]
        starts.append([int(feats[0, 0]) for uid, feats in given if uid == "b"])
    assert starts[0][:3] == starts[1]


def test_preprocessor_rows_without_voices_survive_collation(make_preprocess):
    collate = CommonCollateFn(float_pad_value=0.0, int_pad_value=0)
    preprocess = make_preprocess()
    rows = [(uid, prepare(preprocess, uid)) for uid in ("a", "short")]
    _, batch = collate(rows)
    assert batch["prompt_feats"].shape == (2, 3, 2)
    assert batch["prompt_feats_lengths"].tolist() == [3, 0]


def test_preprocessor_bad_script_raises_with_the_utterance(make_preprocess):
    with pytest.raises(UtteranceError, match="a: text: turn 1 .* has no text"):
        make_preprocess()("a", {"text": "Speaker 0:", "speech": np.ones((2, 2))})


def test_preprocessor_speaker_without_a_prompt_raises(make_preprocess):
    with pytest.raises(UtteranceError, match="a: text: .* but there are 1 voices"):
        prepare(make_preprocess(), "a", TALK)


def test_preprocessor_other_number_of_semantic_features_raises(make_preprocess):
    data = {"text": "سلام", "speech": np.ones((6, 2)), "semantic": np.ones((5, 3))}
    with pytest.raises(UtteranceError, match="a: semantic: 5 .*, but 6 latents"):
        make_preprocess()("a", data)
