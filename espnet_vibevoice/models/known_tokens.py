"""Tokens that a model must know besides its weights, where the base does not tell."""

from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_script import find_speech_tokens
from espnet_vibevoice.models.speech_model import SpeechModel
from espnet_vibevoice.text.tokenizer import TextTokenizer


def knows_tokens(model: SpeechModel) -> bool:
    """Tell whether the base told the tokens.

    Args:
        model (SpeechModel): A model of either family.
    """
    if isinstance(model, MultispeakerModel):
        return model.tokens is not None
    return model.negative_prompt_id is not None


def tell_tokens(model: SpeechModel, tokenizer: TextTokenizer) -> None:
    """Tell a model its tokens: the negative prompt, or those that control speech.

    Args:
        model (SpeechModel): A model of either family; changed in place.
        tokenizer (TextTokenizer): Tokenizer of its base.

    Raises:
        ValueError: If the tokenizer lacks one.
    """
    if isinstance(model, MultispeakerModel):
        model.tokens = find_speech_tokens(tokenizer)
    else:
        model.negative_prompt_id = tokenizer.negative_prompt_id
