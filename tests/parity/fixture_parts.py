"""What the makers of both families' parity folders share."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

RATIOS = ([8, 5, 5, 4, 2, 2], [5, 4, 2], [4, 2, 2, 3], [6, 4])
# How a Qwen2 tokenizer splits a text before it merges bytes.
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+"
    r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def refuse_existing(path: Path) -> None:
    """Refuse a folder that exists.

    Raises:
        FileExistsError: If it does.
    """
    if path.exists():
        raise FileExistsError(f"{path}: exists. Give the name of a new folder.")


def write_tokenizer(
    path: Path,
    special_tokens: Sequence[str],
    texts: Sequence[str] = (),
    num_merges: int = 0,
) -> None:
    """Write a tokenizer in Qwen2 form: bytes, merges learnt from texts, specials.

    Args:
        path (Path): Folder to make.
        special_tokens (Sequence[str]): Special tokens, behind all others.
        texts (Sequence[str]): What merges are learnt from.
        num_merges (int): At most so many merges.
    """
    path.mkdir(parents=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_compile(QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    if num_merges:
        trainer = trainers.BpeTrainer(
            vocab_size=len(alphabet) + num_merges,
            initial_alphabet=alphabet,
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(list(special_tokens))
    tokenizer.save(str(path / "tokenizer.json"))


def _compile(pattern: str):
    """Compile a regular expression of the tokenizers package."""
    from tokenizers import Regex

    return Regex(pattern)


def draw_text(draw: random.Random) -> str:
    """Draw a text of a few words."""
    words = "calm rivers carry small boats past old green hills".split()
    return " ".join(draw.sample(words, draw.randint(2, 4))) + "."


def write_values(path: Path, io: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write ``io.safetensors`` and ``meta.json`` of a folder."""
    copies = {key: value.contiguous().clone() for key, value in io.items()}
    save_file(copies, path / "io.safetensors")
    text = json.dumps(meta, indent=1) + "\n"
    (path / "meta.json").write_text(text, encoding="utf-8")
