"""Text to token ids, with the tokenizer of the base model, and voice prompts.

Text is cleaned first, as the data stages do once for all: a raw sentence and its
prepared transcript give the same ids.

ESPnet's own preprocessor looks tokens up in a list that is stored in config.yaml.
For a language model that would be 150 000 lines, and a wrong list would pass
unnoticed, so ids come from the tokenizer itself.
"""

import copy
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from espnet2.train.dataset import ESPnetDataset
from espnet2.train.preprocessor import AbsPreprocessor

from espnet_vibevoice.data.prompts import cut_prompt
from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.models.batch import derive_seed
from espnet_vibevoice.text import describe_dropped
from espnet_vibevoice.text.cleaners import Cleaner, keep_text
from espnet_vibevoice.text.tokenizer import TextTokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PromptSource:
    """Where the voice prompts of a set come from.

    Args:
        utt2prompt (Mapping): Utterance that prompts each utterance; of a dialogue one
            for each speaker, separated by spaces.
        dataset (ESPnetDataset): The set itself: ``text`` as token ids, ``speech`` as
            latents.
        drop_rate (float): Chance that an utterance in training goes without.
        max_frames (int): Longest prompt in frames; longer ones are cut and lose
            their transcript.
        has_transcripts (bool): Whether prompts come with their text.
    """

    utt2prompt: Mapping[str, str]
    dataset: ESPnetDataset
    drop_rate: float
    max_frames: int
    has_transcripts: bool = True


class VibeVoicePreprocessor(AbsPreprocessor):
    """Clean the text of an utterance, make it token ids, and add its voice prompt.

    Args:
        train (bool): Whether training data is prepared. If so, prompts are dropped
            at random and cut at random places (see `_draw`). In validation each
            prompt is given, cut at its start.
        tokenizer (TextTokenizer): Tokenizer of the base model.
        prompts (PromptSource | None): Voice prompts; None adds none.
        clean (Cleaner): What reads texts (see `text.cleaners`); none by default.
    """

    drop_rate_key = "prompt_drop_rate"  # of tts_conf
    reads_scripts = False  # whether a text may have several speakers

    def __init__(
        self,
        train: bool,
        tokenizer: TextTokenizer,
        prompts: PromptSource | None = None,
        clean: Cleaner = keep_text,
    ):
        super().__init__(train)
        self.tokenizer = tokenizer
        self.prompts = prompts
        self.clean = clean
        self._seed: int | None = None
        self._times_drawn: Counter[str] = Counter()

    def __call__(
        self, uid: str, data: dict[str, str | np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Prepare one utterance.

        Args:
            uid (str): Utterance id.
            data (dict): ``text`` as a string; other entries pass through.

        Returns:
            dict: ``text`` as int64 token ids (T_text,); with prompts also
            ``prompt_text`` (T_prompt_text,) and ``prompt_feats``
            (T_prompt_lat, D_ac), both of length 0 where there is none.

        Raises:
            UtteranceError: If the text is empty, or nothing of it can be read.
        """
        if isinstance(data.get("text"), str):
            data["text"] = self.encode(uid, data["text"], self.tokenizer.encode)
        if self.prompts is not None:
            text, latents = self._find_prompt(uid, self.prompts)
            data["prompt_text"] = text
            # An empty prompt has the same dimensions as a real one.
            none = np.zeros_like(data["speech"][:0])
            data["prompt_feats"] = none if latents is None else latents
        return data

    def keep_all_prompts(self) -> Self:
        """Return a copy of this preprocessor that drops no prompt."""
        kept = copy.copy(self)
        if self.prompts is not None:
            kept.prompts = replace(self.prompts, drop_rate=0.0)
        kept._times_drawn = Counter()
        return kept

    def clone_for_prompts(self) -> Self:
        """Return one that prepares texts alike and adds no prompts."""
        return type(self)(False, self.tokenizer, clean=self.clean)

    def read(self, uid: str, text: str) -> str:
        """Clean a text; what could not be read of it is logged."""
        reading = self.clean(text)
        if reading.dropped:
            lost = describe_dropped(reading.dropped)
            logger.warning("%s: dropped, no reading is known: %s", uid, lost)
        return reading.text

    def encode(
        self, uid: str, text: str, tokenize: Callable[[str], Sequence[int]]
    ) -> np.ndarray:
        """Clean a text and return its token ids.

        Args:
            uid (str): Utterance id, for messages.
            text (str): The text.
            tokenize (Callable): Makes ids of the cleaned text.

        Returns:
            np.ndarray: Token ids, int64 (T_text,).

        Raises:
            UtteranceError: If the text is empty, or nothing of it can be read.
        """
        cleaned = self.read(uid, text)
        try:
            ids = tokenize(cleaned)
        except ValueError as err:
            given = "" if cleaned == text else f" It was made of {text!r}."
            raise UtteranceError(uid, "text", f"{err}{given}") from err
        return np.array(ids, dtype=np.int64)

    def _find_prompt(
        self, uid: str, prompts: PromptSource
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Load transcript and latents of a prompt; no latents: no prompt."""
        no_text = np.zeros(0, dtype=np.int64)
        chance, place = self._draw(uid, 2) if self.train else (1.0, 0.0)
        if chance < prompts.drop_rate:
            return no_text, None
        prompt_id = prompts.utt2prompt[uid]
        _, prompt = prompts.dataset[prompt_id]
        frames, is_whole = cut_prompt(
            len(prompt["speech"]),
            prompts.max_frames,
            is_own=prompt_id == uid,
            place=place,
        )
        text = prompt["text"] if is_whole else no_text
        return text, prompt["speech"][frames]

    def _draw(self, uid: str, count: int) -> list[float]:
        """Draw numbers in [0, 1) for an utterance.

        They follow from torch's seed, the utterance and how often it was drawn for
        under this seed, so neither from other utterances nor from how many processes
        share a batch. ESPnet seeds torch anew in each epoch, alike in all processes,
        and a DataLoader seeds its workers from that.
        """
        seed = torch.initial_seed()
        if seed != self._seed:
            self._seed = seed
            self._times_drawn.clear()
        self._times_drawn[uid] += 1
        derived = derive_seed("prompt", uid, seed, self._times_drawn[uid])
        return np.random.default_rng(derived).random(count).tolist()
