"""Generation of the multi-speaker family, written a second time and plainly.

Before each token the whole sequence is run again, and at each frame the audio of its
segment is decoded and encoded again from the segment's start: that is what caches that
are zeroed at the end of speech come to.
"""

import torch
from multispeaker_settings import MultispeakerSettings
from reference_model import ReferenceModel
from reference_parts import Tensors
from torch import Tensor

OUTPUTS = (
    "tokens",
    "token_scores_start_end_diffusion_eos",
    "latents",
    "condition",
    "neg_condition",
    "semantic",
    "waveform",
)


def generate(
    model: ReferenceModel,
    inputs: Tensors,
    settings: MultispeakerSettings,
    forced_tokens: list[int] | None = None,
) -> Tensors:
    """Compute ``gen``: greedy generation with guidance.

    Args:
        model (ReferenceModel): The model.
        inputs (Tensors): Inputs.
        settings (MultispeakerSettings): Ids, guidance, steps, limit.
        forced_tokens (list[int] | None): Tokens to take in place of the best ones.

    Returns:
        Tensors: Outputs by key, and ``gen.inputs``, the vectors of the prompt and of
            what was made (T_seq, H).
    """
    given = {k.removeprefix("gen."): v for k, v in inputs.items()}
    spread = model.latent_std * given["rand.vae_std_draw"][:, None, None]
    means = [model.encode("acoustic", voice) for voice in given["speech_tensors"]]
    voices = model.scale(torch.stack(means) + spread * given["rand.vae_noise"])
    embeds = model.embed(given["input_ids"]).masked_scatter(
        given["speech_input_mask"][..., None],
        model.connect("acoustic", voices)[given["speech_masks"]],
    )[0]
    state = _Speech(model, settings, embeds, given["noise"][:, 0])
    path = forced_tokens or [None] * settings.max_new_tokens
    for token in path:
        if state.step(token) == settings.eos_id:
            break
    return state.collect()


class _Speech:
    """Generation on its way.

    Args:
        model (ReferenceModel): The model.
        settings (MultispeakerSettings): Ids, guidance, steps.
        embeds (Tensor): Vectors of the prompt (T, H).
        noise (Tensor): Noise of each frame (T_max, D).
    """

    def __init__(
        self,
        model: ReferenceModel,
        settings: MultispeakerSettings,
        embeds: Tensor,
        noise: Tensor,
    ):
        self.model, self.settings, self.noise = model, settings, noise
        self.inputs = [*embeds]
        self.negative = [model.embed(torch.tensor(settings.speech_start_id))]
        self.is_negative_fed = True
        self.segment: list[Tensor] = []  # unscaled latents since the last reset
        self.made: dict[str, list[Tensor]] = {name: [] for name in OUTPUTS}

    def step(self, forced: int | None) -> int:
        """Choose a token, or take the one that is forced, and act on it."""
        hidden = self.model.run_backbone(torch.stack(self.inputs)[None])[0, -1]
        allowed = torch.tensor(self.settings.allowed_ids)
        scores = self.model.compute_logits(hidden)[allowed]
        token = int(allowed[scores.argmax()]) if forced is None else forced
        self._keep(
            tokens=torch.tensor(token), token_scores_start_end_diffusion_eos=scores
        )
        if token == self.settings.speech_diffusion_id:
            self.inputs.append(self._make_frame(hidden))
            return token
        self.inputs.append(self.model.embed(torch.tensor(token)))
        if token == self.settings.speech_end_id:
            self.segment = []
        if token == self.settings.speech_start_id:
            self.negative, self.is_negative_fed = [self.inputs[-1]], True
        return token

    def _make_frame(self, condition: Tensor) -> Tensor:
        """Make a frame under a hidden state (H,) and give its vector (H,)."""
        if not self.is_negative_fed:
            self.negative.append(self.inputs[-1])
        self.is_negative_fed = False
        avoided = self.model.run_backbone(torch.stack(self.negative)[None])[0, -1]
        latent = self.model.sample(
            condition,
            avoided,
            self.noise[len(self.made["latents"])],
            self.settings.cfg_scale,
            self.settings.num_sampling_steps,
        )
        self.segment.append(self.model.unscale(latent))
        audio = self.model.decode(torch.stack(self.segment))
        semantic = self.model.encode("semantic", audio)[-1]
        self._keep(
            latents=latent,
            condition=condition,
            neg_condition=avoided,
            semantic=semantic,
            waveform=audio[-self.model.hop_samples :],
        )
        acoustic = self.model.connect("acoustic", latent)
        return acoustic + self.model.connect("semantic", semantic)

    def _keep(self, **values: Tensor) -> None:
        """Append to outputs by name."""
        for name, value in values.items():
            self.made[name].append(value)

    def collect(self) -> Tensors:
        """Stack what was made."""
        stacked = {f"gen.{k}": torch.stack(v) for k, v in self.made.items()}
        return stacked | {
            "gen.waveform": torch.cat(self.made["waveform"]),
            "gen.inputs": torch.stack(self.inputs),
        }
