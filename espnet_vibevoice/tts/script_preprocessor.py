"""Scripts to prompts with voices, as the multi-speaker family is trained on them.

Frames of voices stand in the prompt itself, so voices are chosen before the text is
encoded. A voice is the acoustic latents of another utterance of the speaker, or a piece
of the utterance itself; a voice needs no transcript and no semantic features.
"""

import numpy as np

from espnet_vibevoice.data.prompts import cut_prompt
from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.tts.preprocessor import PromptSource, VibeVoicePreprocessor


class ScriptPreprocessor(VibeVoicePreprocessor):
    """Replace the script of an utterance by its prompt, and add its voices.

    Args:
        train (bool): As in `VibeVoicePreprocessor`.
        tokenizer (ScriptTokenizer): Tokenizer of the base.
        prompts (PromptSource | None): Voices, of one or several speakers; None adds
            none. They are dropped all together or not at all.
    """

    drop_rate_key = "voice_prompt_drop_rate"
    reads_scripts = True

    def __call__(
        self, uid: str, data: dict[str, str | np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Prepare one utterance.

        Args:
            uid (str): Utterance id.
            data (dict): ``text`` as a script; other entries pass through.

        Returns:
            dict: ``text`` as int64 ids of the prompt (T_text,); with voices also
            ``prompt_feats``, the latents of all voices one behind the other
            (T_voice, D_ac), of length 0 where there are none.

        Raises:
            UtteranceError: If the script cannot be spoken, or semantic features are
                not as many as latents.
        """
        if not isinstance(data.get("text"), str):
            return data
        voices: list[np.ndarray] = []
        if self.prompts is not None:
            voices = self._find_voices(uid, self.prompts)
            # No voice at all has the same dimensions as a real one.
            none = np.zeros_like(data["speech"][:0])
            data["prompt_feats"] = np.concatenate([none, *voices])
        voice_frames = [len(voice) for voice in voices]
        data["text"] = self.encode(
            uid, data["text"], lambda text: self.tokenizer.encode(text, voice_frames)
        )
        self._check_semantic(uid, data)
        return data

    def _find_voices(self, uid: str, prompts: PromptSource) -> list[np.ndarray]:
        """Load the voice of each speaker, (T_lat, D_ac) each; none: no voices."""
        names = prompts.utt2prompt[uid].split()
        drawn = [1.0] + [0.0] * len(names)
        if self.train:
            drawn = self._draw(uid, 1 + len(names))
        if drawn[0] < prompts.drop_rate:
            return []
        voices = []
        for name, place in zip(names, drawn[1:], strict=True):
            latents = prompts.dataset[name][1]["speech"]
            frames, _ = cut_prompt(
                len(latents), prompts.max_frames, is_own=name == uid, place=place
            )
            voices.append(latents[frames])
        # Half of a single frame is nothing to hear a voice by.
        return voices if all(len(voice) > 0 for voice in voices) else []

    @staticmethod
    def _check_semantic(uid: str, data: dict[str, np.ndarray]) -> None:
        """Refuse features that do not belong to the latents."""
        if "semantic" not in data:
            return
        found, wanted = len(data["semantic"]), len(data["speech"])
        if found != wanted:
            raise UtteranceError(
                uid,
                "semantic",
                f"{found} semantic features, but {wanted} latents: rerun stage 5",
            )
