import numpy as np
import pytest

from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.preprocessor import VibeVoicePreprocessor


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
