"""Text to token ids, with the tokenizer of the base model.

ESPnet's own preprocessor looks tokens up in a list that is stored in config.yaml.
For a language model that would be 150 000 lines, and a wrong list would pass
unnoticed, so ids come from the tokenizer itself.
"""

import numpy as np
from espnet2.train.preprocessor import AbsPreprocessor

from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.text.tokenizer import TextTokenizer


class VibeVoicePreprocessor(AbsPreprocessor):
    """Replace the text of an utterance by its token ids; leave the rest.

    Args:
        train (bool): Whether training data is prepared (kept for ESPnet).
        tokenizer (TextTokenizer): Tokenizer of the base model.
    """

    def __init__(self, train: bool, tokenizer: TextTokenizer):
        super().__init__(train)
        self.tokenizer = tokenizer

    def __call__(
        self, uid: str, data: dict[str, str | np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Prepare one utterance.

        Args:
            uid (str): Utterance id.
            data (dict): ``text`` as a string; other entries pass through.

        Returns:
            dict: ``text`` as int64 token ids (T_text,).

        Raises:
            UtteranceError: If the text is empty.
        """
        if isinstance(data.get("text"), str):
            try:
                ids = self.tokenizer.encode(data["text"])
            except ValueError as err:
                raise UtteranceError(uid, "text", str(err)) from err
            data["text"] = np.array(ids, dtype=np.int64)
        return data
