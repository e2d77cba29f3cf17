"""Whisper through transformers."""

from typing import Any

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from espnet_vibevoice.score.model_specs import RecognizerSpec
from espnet_vibevoice.score.recognition import whisper
from espnet_vibevoice.score.recognition.recognizer import RecognizerUnavailable

_LANGUAGE_TOKEN = f"<|{whisper.LANGUAGE}|>"
_TASK_TOKEN = f"<|{whisper.TASK}|>"
_NO_TIMESTAMPS = "<|notimestamps|>"


class TransformersWhisper:
    """A model in the form of transformers.

    Args:
        spec (RecognizerSpec): Names the model: size, name on the hub or folder.
        device (str): cpu | cuda | cuda:N.
        beam_size (int): Hypotheses kept in the search.

    Raises:
        RecognizerUnavailable: The model does not load or knows no Persian.
    """

    def __init__(self, spec: RecognizerSpec, device: str, beam_size: int):
        name = whisper.name_on_hub(spec.identity)
        self._dtype = torch.float16 if device.startswith("cuda") else torch.float32
        try:
            self._processor = WhisperProcessor.from_pretrained(name)
            model = WhisperForConditionalGeneration.from_pretrained(
                name, dtype=self._dtype
            )
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as err:
            reason = f"it does not load: {type(err).__name__}: {err}"
            raise RecognizerUnavailable(spec.name, spec.identity, reason) from err
        self._model = model.to(device).eval()
        self._beam_size = beam_size
        self._prompt = self._build_prompt(spec)

    @torch.no_grad()
    def transcribe(self, waveform: np.ndarray) -> str:
        """Write down at most 30 s; see :class:`whisper.Transcriber`."""
        inputs = self._processor(
            waveform,
            sampling_rate=whisper.FS,
            return_tensors="pt",
            return_attention_mask=True,
        )
        tokens = self._model.generate(
            inputs.input_features.to(self._model.device, self._dtype),
            attention_mask=inputs.attention_mask.to(self._model.device),
            **self._prompt,
            num_beams=self._beam_size,
            do_sample=False,
            return_timestamps=False,
        )
        return self._processor.tokenizer.decode(tokens[0], skip_special_tokens=True)

    def _build_prompt(self, spec: RecognizerSpec) -> dict[str, Any]:
        """Make the options that force language and task.

        Fine-tuned models on the hub often come with a generation configuration that
        lacks the ids of languages and tasks; they are those of the tokenizer.
        """
        config = self._model.generation_config
        vocabulary = self._processor.tokenizer.get_vocab()
        wanted = (_LANGUAGE_TOKEN, _TASK_TOKEN, _NO_TIMESTAMPS)
        lacking = [token for token in wanted if token not in vocabulary]
        if lacking or config.to_dict().get("is_multilingual") is False:
            reason = "it knows no Persian: give a multilingual Whisper model"
            raise RecognizerUnavailable(spec.name, spec.identity, reason)
        ids = {token: vocabulary[token] for token in wanted}
        config.is_multilingual = True
        config.lang_to_id = {_LANGUAGE_TOKEN: ids[_LANGUAGE_TOKEN]}
        config.task_to_id = {whisper.TASK: ids[_TASK_TOKEN]}
        config.no_timestamps_token_id = ids[_NO_TIMESTAMPS]
        config.forced_decoder_ids = None
        return {"language": whisper.LANGUAGE, "task": whisper.TASK}
