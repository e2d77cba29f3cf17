"""The largest batch of a training, from the batches and the shape files.

Large is what the language model sees: rows times the longest row in positions, text and
frames, with the voice prompt that each utterance may get.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from espnet2.fileio.read_text import load_num_sequence_text
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.iterators.sequence_iter_factory import RawSampler, SequenceIterFactory
from espnet2.train.dataset import ESPnetDataset
from torch.utils.data import DataLoader

from espnet_vibevoice.data.prompts import cut_prompt
from espnet_vibevoice.tts.preprocessor import PromptSource, VibeVoicePreprocessor


@dataclass(frozen=True)
class LargestBatch:
    """A batch, or the share of this process in it.

    Args:
        utt_ids (tuple[str, ...]): Its utterances.
        positions (int): Padded positions with voice prompts.
        bins (int): Padded tokens and frames as ``batch_bins`` counts them.
    """

    utt_ids: tuple[str, ...]
    positions: int
    bins: int

    def __str__(self) -> str:
        """Say how large it is."""
        return (
            f"{len(self.utt_ids)} utterances ({self.utt_ids[0]}, ...), "
            f"{self.positions} positions of the language model with padding and voice "
            f"prompts, {self.bins} bins"
        )


class RowSizes:
    """Positions of each utterance.

    Args:
        shape_files (Sequence): Shape files of tokens and of frames; those of frames
            have ``speech_shape`` as the beginning of their name.
        prompts (PromptSource | None): Voice prompts of the set.
    """

    def __init__(self, shape_files: Sequence[str], prompts: PromptSource | None):
        self._prompts = prompts
        self._lengths = [_read_lengths(path) for path in shape_files]
        self._frames: Mapping[str, int] = {}
        self._tokens: Mapping[str, int] = {}
        for path, lengths in zip(shape_files, self._lengths, strict=True):
            if Path(path).name.startswith("speech_shape"):
                self._frames = lengths
            else:
                self._tokens = lengths

    def count_positions(self, utt_id: str) -> int:
        """Count text, frames and the longest voice prompt of an utterance."""
        own = sum(lengths[utt_id] for lengths in self._lengths)
        return own + self._count_prompt(utt_id)

    def measure(self, utt_ids: Sequence[str]) -> LargestBatch:
        """Measure a batch.

        Args:
            utt_ids (Sequence[str]): Its utterances.
        """
        longest = max(self.count_positions(utt_id) for utt_id in utt_ids)
        bins = sum(max(lengths[u] for u in utt_ids) for lengths in self._lengths)
        rows = len(utt_ids)
        return LargestBatch(tuple(utt_ids), rows * longest, rows * bins)

    def _count_prompt(self, utt_id: str) -> int:
        if self._prompts is None:
            return 0
        prompt_id = self._prompts.utt2prompt[utt_id]
        frames, is_whole = cut_prompt(
            self._frames.get(prompt_id, 0),
            self._prompts.max_frames,
            is_own=prompt_id == utt_id,
        )
        tokens = self._tokens.get(prompt_id, 0) if is_whole else 0
        return frames.stop - frames.start + tokens


def find_largest_batch(
    factory: AbsIterFactory, shape_files: Sequence[str], *, device: torch.device
) -> LargestBatch | None:
    """Find the largest batch; several processes find the same one.

    Args:
        factory (AbsIterFactory): Makes the batches of each epoch.
        shape_files (Sequence): Shape files of the training set.
        device (torch.device): Where processes exchange figures.

    Returns:
        LargestBatch | None: The batch, or the share of this process; None if the
        factory has no list of batches of utterances that it keeps.
    """
    if not isinstance(factory, SequenceIterFactory) or factory.shuffle_within_batch:
        return None
    has_list = isinstance(factory.sampler, RawSampler)
    if not has_list or not isinstance(factory.dataset, ESPnetDataset):
        return None
    prompts = None
    if isinstance(factory.dataset.preprocess, VibeVoicePreprocessor):
        prompts = factory.dataset.preprocess.prompts
    sizes = RowSizes(shape_files, prompts)
    batches = [sizes.measure(utt_ids) for utt_ids in factory.sampler]
    positions = torch.tensor([batch.positions for batch in batches], device=device)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(positions, torch.distributed.ReduceOp.MAX)
    return batches[int(positions.argmax())]


def load_batch(
    factory: SequenceIterFactory, utt_ids: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Load a batch as training does, but with the voice prompt of every utterance.

    Args:
        factory (SequenceIterFactory): Knows the data.
        utt_ids (Sequence[str]): Utterances of the batch.

    Returns:
        dict: The batch, with ``utt_id`` as ESPnet's trainer adds it.
    """
    dataset = copy.copy(factory.dataset)
    dataset.cache = None  # training must not find these items in it
    preprocess = dataset.preprocess
    if isinstance(preprocess, VibeVoicePreprocessor) and preprocess.prompts is not None:
        prompts = replace(preprocess.prompts, drop_rate=0.0)
        dataset.preprocess = VibeVoicePreprocessor(
            True, preprocess.tokenizer, prompts, preprocess.clean
        )
    loader = DataLoader(
        dataset=dataset,
        batch_sampler=[list(utt_ids)],
        # Files that this process had opened would be shared with later workers.
        num_workers=min(1, factory.num_workers),
        collate_fn=factory.collate_fn,
    )
    ((loaded_ids, batch),) = loader
    return {**batch, "utt_id": loaded_ids}


def _read_lengths(path: str) -> dict[str, int]:
    shapes = load_num_sequence_text(path, loader_type="csv_int")
    return {utt_id: shape[0] for utt_id, shape in shapes.items()}
