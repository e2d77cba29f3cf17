import pytest
from tokenizers import Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel

from espnet_vibevoice.text.tokenizer import load_tokenizer


def make_tokenizer_folder(folder, special=("<|endoftext|>", "<|image_pad|>")):
    """A byte-level BPE without merges: one token for each byte."""
    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_encode_strips_and_ends_with_one_newline(tmp_path):
    tokenizer = load_tokenizer(make_tokenizer_folder(tmp_path))
    ids = tokenizer.encode("  سلام \n\n")
    vocabulary = tokenizer.vocabulary()
    assert len(ids) == len("سلام".encode()) + 1
    assert vocabulary[ids[-1]] == "Ċ"  # the byte-level sign of a newline
    assert ids == tokenizer.encode("سلام")


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_encode_empty_text_raises(tmp_path, text):
    tokenizer = load_tokenizer(make_tokenizer_folder(tmp_path))
    with pytest.raises(ValueError, match="is empty"):
        tokenizer.encode(text)


@pytest.mark.parametrize("text", ["؟!", "...", "\u200c", "🙂"])  # ZWNJ, a smile
def test_encode_text_without_letters_raises(tmp_path, text):
    tokenizer = load_tokenizer(make_tokenizer_folder(tmp_path))
    with pytest.raises(ValueError, match="has neither letters nor digits.*Drop the"):
        tokenizer.encode(text)


@pytest.mark.parametrize("text", ["۱۲۳", "7!", "ا"])
def test_encode_text_with_a_letter_or_a_digit_is_speakable(tmp_path, text):
    tokenizer = load_tokenizer(make_tokenizer_folder(tmp_path))
    assert tokenizer.encode(text) == tokenizer.encode_part(text + "\n")


def test_vocabulary_is_in_id_order_and_unique(tmp_path):
    tokenizer = load_tokenizer(make_tokenizer_folder(tmp_path))
    vocabulary = tokenizer.vocabulary()
    assert len(vocabulary) == len(set(vocabulary)) >= 258
    assert vocabulary[tokenizer.negative_prompt_id] == "<|image_pad|>"


def test_load_tokenizer_base_without_one_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="name a tokenizer"):
        load_tokenizer(tmp_path)


def test_load_tokenizer_named_one_goes_before_the_bases(tmp_path):
    named = make_tokenizer_folder(tmp_path / "named")
    (tmp_path / "base").mkdir()
    tokenizer = load_tokenizer(tmp_path / "base", named)
    assert tokenizer.source == str(named)


def test_load_tokenizer_without_negative_prompt_raises(tmp_path):
    folder = make_tokenizer_folder(tmp_path, special=("<|endoftext|>",))
    with pytest.raises(ValueError, match=r"no <\|image_pad\|>"):
        load_tokenizer(folder)
