"""The largest batch in positions of the language model, prompts included."""

import pytest
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.iterators.sequence_iter_factory import SequenceIterFactory
from espnet2.samplers.category_balanced_sampler import CategoryBalancedSampler
from espnet2.train.distributed_utils import DistributedOption

from espnet_vibevoice.tts.dumped_latents import use_dumped_latents
from espnet_vibevoice.tts.largest_batch import (
    LargestBatch,
    RowSizes,
    find_largest_batch,
    load_batch,
)
from espnet_vibevoice.tts.preprocessor import PromptSource
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

CPU = torch.device("cpu")


@pytest.fixture
def shape_files(tmp_path):
    """Lengths of four utterances."""
    shapes = {"text_shape": "a 3\nb 4\nc 2\nd 5\n", "speech_shape": "a 9\nb 4\n"}
    shapes["speech_shape"] += "c 10\nd 6\n"
    for name, lines in shapes.items():
        (tmp_path / name).write_text(lines, encoding="utf-8")
    return [str(tmp_path / name) for name in shapes]


def make_prompts(max_frames):
    utt2prompt = {"a": "b", "b": "c", "c": "a", "d": "d"}
    return PromptSource(utt2prompt, dataset=None, drop_rate=0.5, max_frames=max_frames)


def test_row_sizes_without_prompts_count_text_and_frames(shape_files):
    sizes = RowSizes(shape_files, None)
    assert [sizes.count_positions(utt_id) for utt_id in "abcd"] == [12, 8, 12, 11]
    assert sizes.measure("ab") == LargestBatch(("a", "b"), 2 * 12, 2 * (4 + 9))


def test_row_sizes_with_prompts_add_what_is_heard(shape_files):
    sizes = RowSizes(shape_files, make_prompts(max_frames=9))
    # b whole with its text; c is cut, so without text; a whole; half of d itself
    wanted = [12 + 8, 8 + 9, 12 + 12, 11 + 3]
    assert [sizes.count_positions(utt_id) for utt_id in "abcd"] == wanted


class Factory(AbsIterFactory):
    def build_iter(self, epoch, shuffle=None):
        return []


def test_find_largest_batch_without_a_list_of_batches_is_none(shape_files, tmp_path):
    assert find_largest_batch(Factory(), shape_files, device=CPU) is None
    (tmp_path / "category2utt").write_text("x a b\ny c d\n", encoding="utf-8")
    categories = str(tmp_path / "category2utt")
    sampler = CategoryBalancedSampler(2, category2utt_file=categories)
    drawn = SequenceIterFactory(None, sampler)
    assert find_largest_batch(drawn, shape_files, device=CPU) is None
    mixed = SequenceIterFactory(None, [["a"], ["b"]], shuffle_within_batch=True)
    assert find_largest_batch(mixed, shape_files, device=CPU) is None


@pytest.fixture
def factory(make_train_args, tmp_path):
    """The training set in batches of one and two, and its shape files."""
    (tmp_path / "exp").mkdir()
    words = ["--batch_type", "unsorted", "--batch_size", 1]
    args = make_train_args(tmp_path / "exp", *words)
    use_dumped_latents(args, "train")
    factory = VibeVoiceTTSTask.build_iter_factory(args, DistributedOption(), "train")
    return factory, args.train_shape_file


def test_find_largest_batch_counts_prompts(factory):
    found = find_largest_batch(*factory, device=CPU)
    # s1 says u1 and u2, each other's prompt; u3 is alone and half of it is its prompt
    sizes = RowSizes(factory[1], factory[0].dataset.preprocess.prompts)
    wanted = max(("u1", "u2", "u3"), key=sizes.count_positions)
    assert found.utt_ids == (wanted,)
    assert found.positions == sizes.count_positions(wanted)


def test_load_batch_gives_every_row_its_prompt_and_leaves_the_set_alone(factory):
    preprocess = factory[0].dataset.preprocess
    for seed in range(5):
        torch.manual_seed(seed)
        batch = load_batch(factory[0], ["u1", "u3"])
        assert batch["utt_id"] == ["u1", "u3"]
        assert batch["speech_lengths"].tolist() == [4, 6]
        assert batch["prompt_feats_lengths"].tolist() == [3, 3]
        assert batch["prompt_text_lengths"][0] > 0
    assert factory[0].dataset.preprocess is preprocess
    assert preprocess.prompts.drop_rate == 0.5
