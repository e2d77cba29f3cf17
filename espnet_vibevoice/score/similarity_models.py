"""Speaker models: of ESPnet's speaker task, and WavLM with an x-vector head."""

import numpy as np
import torch

from espnet_vibevoice.data.audio import resample
from espnet_vibevoice.score.model_files import check_weights
from espnet_vibevoice.score.model_specs import SpeakerModelSpec

# Parts that make the embedding; a checkpoint without them gets them at random.
_HEAD_PARTS = ("projector.", "tdnn.", "feature_extractor.", "layer_weights")


class EspnetSpeakerModel:
    """A model of ESPnet's speaker task.

    Args:
        spec (SpeakerModelSpec): Of kind espnet: files, or a tag.
        device (str): cpu | cuda.

    Raises:
        ValueError: The weights are of another model.
    """

    def __init__(self, spec: SpeakerModelSpec, device: str = "cpu"):
        # its speaker task imports asteroid_filterbanks, whatever the model
        from espnet2.bin.spk_inference import Speech2Embedding

        if spec.tag is not None:
            self._embed = Speech2Embedding.from_pretrained(spec.tag, device=device)
        else:
            self._embed = Speech2Embedding(spec.config, spec.model_file, device=device)
            # what comes behind the embedding depends on the speakers of the training
            weights = self._embed.spk_model.state_dict()
            wanted = [name for name in weights if not name.startswith("loss.")]
            check_weights(spec.model_file, wanted, spec.config)
        # Old configurations lack it; it was 16 kHz then.
        self.fs = int(vars(self._embed.spk_train_args).get("sample_rate", 16000))

    def embed(self, waveform: np.ndarray, fs: int) -> np.ndarray:
        """Embed an utterance; see :class:`similarity.SpeakerModel`."""
        embedding = self._embed(resample(waveform, fs, self.fs).astype(np.float32))
        return embedding[0].float().cpu().numpy()


class WavLMSpeakerModel:
    """A WavLM with an x-vector head, through transformers.

    Args:
        spec (SpeakerModelSpec): Of kind wavlm: name on the hub, or folder.
        device (str): cpu | cuda.

    Raises:
        ValueError: The checkpoint has no x-vector head.
    """

    def __init__(self, spec: SpeakerModelSpec, device: str = "cpu"):
        from transformers import AutoFeatureExtractor, WavLMForXVector

        self._extractor = AutoFeatureExtractor.from_pretrained(spec.model)
        model, info = WavLMForXVector.from_pretrained(
            spec.model, output_loading_info=True
        )
        if missing := sorted(k for k in info["missing_keys"] if _is_head(k)):
            raise ValueError(
                f"{spec.model} has no x-vector head ({missing[0]} is missing): choose "
                "a model for speaker verification, e.g. microsoft/wavlm-base-plus-sv"
            )
        self._model = model.eval().to(device)
        self.fs = int(self._extractor.sampling_rate)

    @torch.inference_mode()
    def embed(self, waveform: np.ndarray, fs: int) -> np.ndarray:
        """Embed an utterance; see :class:`similarity.SpeakerModel`."""
        features = self._extractor(
            resample(waveform, fs, self.fs), sampling_rate=self.fs, return_tensors="pt"
        )
        samples = features["input_values"].to(self._model.device)  # (1, T_wav)
        return self._model(samples).embeddings[0].float().cpu().numpy()


MODELS = {"espnet": EspnetSpeakerModel, "wavlm": WavLMSpeakerModel}


def _is_head(key: str) -> bool:
    return key.startswith(_HEAD_PARTS)
