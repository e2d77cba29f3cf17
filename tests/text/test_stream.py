import random

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, trainers
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from espnet_vibevoice.text.stream import tokenize_pieces
from espnet_vibevoice.text.tokenizer import load_tokenizer

TEXTS = [
    "سلام",
    "  می\u200cخواهم ۱۲۳ کتاب، و 45.6% تخفیف!  \n",  # ZERO WIDTH NON-JOINER
    "I'll   go.\n\n  Then we're done ... (really?) \t ok",
    "e\u0301te\u0301 na\u0308chste \u00a0 word\u2003 end",  # combining, wide spaces
    "( ) [ ] - - سلام ! ! ؟",
    "یک\r\n دو \r\n سه\n. چهار .\n پنج",
    "<|endoftext|> a <|image_pad|>b c",
]
# Of Qwen2.5, from its tokenizer.json.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """Train merges on the very texts, so that a wrong cut shows."""
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = Split(Regex(PATTERN), behavior="isolated")
    byte_level = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text + "\n" for text in TEXTS] * 3, trainer)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|image_pad|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return load_tokenizer(folder)


def cut(text, generator):
    """Cut a text anywhere, also into empty pieces."""
    places = sorted(generator.choices(range(len(text) + 1), k=generator.randint(0, 9)))
    bounds = [0, *places, len(text)]
    return [text[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


def join(parts):
    return [index for part in parts for index in part]


@pytest.mark.parametrize("text", TEXTS)
def test_tokenize_pieces_any_cut_equals_the_whole(tokenizer, text):
    generator = random.Random(0)
    wanted = tokenizer.encode(text)
    for pieces in [[text], list(text), *(cut(text, generator) for _ in range(50))]:
        assert join(tokenize_pieces(tokenizer, pieces)) == wanted, pieces


def test_tokenize_pieces_gives_words_as_soon_as_they_are_sure(tokenizer):
    given = []

    def speak():
        for piece in ["سلام", " ", "حا", "ل شما", " ."]:
            given.append(piece)
            yield piece

    parts = tokenize_pieces(tokenizer, speak())
    assert next(parts) == tokenizer.encode_part("سلام")
    assert len(given) == 3
    assert next(parts) == tokenizer.encode_part(" حال")
    assert len(given) == 4


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], "'' is empty"),
        (["  ", "\n"], "is empty: there is nothing to speak"),
        (["! ", "؟ ", "..."], r"'! ؟ \.\.\.' has neither letters nor digits"),
    ],
)
def test_tokenize_pieces_nothing_to_speak_raises(tokenizer, pieces, message):
    with pytest.raises(ValueError, match=message):
        list(tokenize_pieces(tokenizer, pieces))


def test_tokenize_pieces_other_than_strings_raises(tokenizer):
    with pytest.raises(TypeError, match="is int, wanted str"):
        list(tokenize_pieces(tokenizer, [1]))
