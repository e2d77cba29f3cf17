"""The Qwen2 tokenizer of a base, reduced to what the models need.

A text is encoded as ``text.strip()`` and a newline, without special tokens, exactly as
the released model was trained. The released realtime base brings no tokenizer of its
own and uses that of Qwen/Qwen2.5-0.5B, which is then named explicitly.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NEGATIVE_PROMPT_TOKEN = "<|image_pad|>"


class TextTokenizer:
    """Text to token ids.

    Args:
        tokenizer (PreTrainedTokenizerBase): Tokenizer in Qwen2 form.
        source (str): Where it came from, for messages.

    Attributes:
        negative_prompt_id (int): Id that the unconditional branch reads.

    Raises:
        ValueError: If the tokenizer lacks ``<|image_pad|>``.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", source: str):
        vocabulary = tokenizer.get_vocab()
        if NEGATIVE_PROMPT_TOKEN not in vocabulary:
            raise ValueError(
                f"{source}: the tokenizer has no {NEGATIVE_PROMPT_TOKEN}, the negative "
                "prompt. Give a Qwen2.5 tokenizer, e.g. of Qwen/Qwen2.5-0.5B."
            )
        self.source = source
        self.negative_prompt_id = vocabulary[NEGATIVE_PROMPT_TOKEN]
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """Encode one text.

        Args:
            text (str): Normalised text; outer white space does not count.

        Returns:
            list[int]: Token ids of the text and a newline.

        Raises:
            ValueError: If the text is empty or has neither letters nor digits.
        """
        stripped = text.strip()
        if not stripped:
            raise ValueError(
                f"text {text!r} is empty: there is nothing to speak. Drop the "
                "utterance or give a text."
            )
        if not self.is_speakable(stripped):
            raise ValueError(
                f"text {text!r} has neither letters nor digits: there is nothing to "
                "speak. Drop the utterance or give a text."
            )
        return self.encode_part(stripped + "\n")

    def count_spoken(self, text: str) -> int:
        """Count the tokens of what is to be spoken.

        Args:
            text (str): As in `encode`.
        """
        return len(self.encode(text))

    def encode_part(self, text: str) -> list[int]:
        """Encode a part of a text exactly as it is, without adding a newline.

        Args:
            text (str): Part of a text, see `stream.tokenize_pieces`.
        """
        return self._tokenizer.encode(text, add_special_tokens=False)

    def decode_part(self, ids: Sequence[int]) -> str:
        """Turn ids back into the text that they were made from.

        Args:
            ids (Sequence[int]): Token ids; special tokens become their names.
        """
        return self._tokenizer.decode(ids, clean_up_tokenization_spaces=False)

    @staticmethod
    def is_speakable(text: str) -> bool:
        """Whether a text has a letter or a digit."""
        return any(character.isalnum() for character in text)

    def vocabulary(self) -> list[str]:
        """List the tokens in the order of their ids; ids without a token get one.

        Returns:
            list[str]: Token of each id (V,), all different.
        """
        vocabulary = self._tokenizer.get_vocab()
        tokens = [f"<unused_{index}>" for index in range(max(vocabulary.values()) + 1)]
        for token, index in vocabulary.items():
            tokens[index] = token
        return tokens


Tokenizer = TypeVar("Tokenizer", bound=TextTokenizer)


def load_tokenizer(
    folder: str | Path,
    tokenizer: str | Path | None = None,
    kind: type[Tokenizer] = TextTokenizer,
) -> Tokenizer:
    """Load the tokenizer of a base, or the one that is named instead.

    Args:
        folder (str | Path): Base folder (see `models.base_folder.resolve_base`).
        tokenizer (str | Path | None): Folder or hub id of a tokenizer to use in place
            of the base's own.
        kind (type): Class of the result, for families that encode texts in a way of
            their own.

    Returns:
        TextTokenizer: The tokenizer, of the class ``kind``.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not a Qwen2 tokenizer.
    """
    from transformers import Qwen2Tokenizer

    source = str(folder if tokenizer is None else tokenizer)
    is_hub_id = tokenizer is not None and not Path(source).exists()
    local = _fetch(source) if is_hub_id else source
    if not _holds_tokenizer(local):
        raise FileNotFoundError(
            f"{source}: no tokenizer.json (or vocab.json and merges.txt). The released "
            "realtime base has none: name a tokenizer, e.g. Qwen/Qwen2.5-0.5B or a "
            "folder that holds it."
        )
    try:
        loaded = Qwen2Tokenizer.from_pretrained(local)
    except (OSError, ValueError) as err:
        raise ValueError(
            f"{source}: the tokenizer's files cannot be read ({err}). Fetch them again."
        ) from err
    return kind(loaded, source)


def _fetch(hub_id: str) -> str:
    """Fetch the tokenizer files of a hub repository and return their folder."""
    from huggingface_hub import snapshot_download

    names = ["tokenizer*.json", "vocab.json", "merges.txt"]
    try:
        return snapshot_download(hub_id, allow_patterns=names)
    except (OSError, ValueError) as err:
        raise FileNotFoundError(
            f"{hub_id}: neither a folder nor a repository that the hub gives out "
            f"({err}). Check the name and the network, or give a local folder."
        ) from err


def _holds_tokenizer(folder: str) -> bool:
    """Whether a folder holds a Qwen2 tokenizer in one of its two forms."""
    names = {path.name for path in Path(folder).glob("*.*")}
    return "tokenizer.json" in names or {"vocab.json", "merges.txt"} <= names
