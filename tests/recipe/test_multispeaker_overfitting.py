"""Four utterances of two speakers learnt by heart, then spoken to the right end.

If prompts, conditions, semantic features, voices or control tokens were laid out
wrongly anywhere between the data files and generation, the texts could not be said
again.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import kaldiio
import pytest
import torch
import yaml
from torch.nn.utils.rnn import pad_sequence

from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.models.codec_stream import DecoderStream, EncoderStream
from espnet_vibevoice.models.loading import load_model
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import parse_multispeaker_config
from espnet_vibevoice.models.multispeaker_generation import generate_script
from espnet_vibevoice.models.multispeaker_losses import MultispeakerLosses
from espnet_vibevoice.models.multispeaker_sequence import MultispeakerBatch
from espnet_vibevoice.tts.decoding_prompt import make_prompt
from espnet_vibevoice.tts.multispeaker import VibeVoiceMultispeakerTTS
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

TEXTS = {
    "f_1": "سلام",
    "f_2": "هوا خوب است",
    "m_1": "می\u200cرود",
    "m_2": "کتاب من",
}
FRAMES = {"f_1": 4, "f_2": 11, "m_1": 6, "m_2": 8}
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "initializer_range": 0.05,
}
EPOCHS, STEPS_PER_EPOCH = 2, 400
TRAINING = {
    "tts": "vibevoice",
    "tts_conf": {
        "strategy": "full",
        "ddpm_batch_mul": 16,
        "sample_latents": False,
        "voice_prompt_drop_rate": 0.5,
    },
    "token_type": "hugging_face",
    "normalize": "none",
    "feats_extract": "vibevoice_latents",
    "batch_type": "unsorted",
    "batch_size": len(TEXTS),
    "num_workers": 0,
    "max_epoch": EPOCHS,
    "num_iters_per_epoch": STEPS_PER_EPOCH,
    "optim": "adamw",
    "optim_conf": {"lr": 3e-3},
    "grad_clip": 1.0,
    "scheduler": "onecyclelr",
    "scheduler_conf": {"max_lr": 3e-3, "total_steps": EPOCHS * STEPS_PER_EPOCH},
    "keep_nbest_models": 1,
    "num_att_plot": 0,
    "use_tensorboard": False,
    "use_matplotlib": False,
    "ngpu": 0,
}
DRAWS = 64  # noise draws per frame in the evaluation


@dataclass(frozen=True)
class Overfitted:
    """A model before and after training, and what it was trained on.

    Args:
        untrained (VibeVoiceMultispeakerTTS): Model of the base.
        trained (VibeVoiceMultispeakerTTS): Model of the last epoch.
        latents (dict[str, Tensor]): Latents of each utterance (T_lat, D).
        semantic (dict[str, Tensor]): Semantic features of their sound (T_lat, D_sem).
        tokens (dict[str, Tensor]): Prompt of each without voices (T_text,).
        prompts (dict[str, str]): Who prompted whom.
    """

    untrained: VibeVoiceMultispeakerTTS
    trained: VibeVoiceMultispeakerTTS
    latents: dict[str, torch.Tensor]
    semantic: dict[str, torch.Tensor]
    tokens: dict[str, torch.Tensor]
    prompts: dict[str, str]


def write_base(tiny: Path, folder: Path) -> MultispeakerModel:
    """Write a base that can learn four texts, with the codec of the tiny one."""
    original = json.loads((tiny / "config.json").read_text(encoding="utf-8"))
    original["decoder_config"] |= SIZES
    original["diffusion_head_config"] |= {"hidden_size": 64, "head_layers": 3}
    codec = load_model(str(tiny))
    config = parse_multispeaker_config(original, codec.tokens)
    model = MultispeakerModel.from_config(config, seed=0)
    kept = ("acoustic_tokenizer.", "semantic_tokenizer.", "speech_")
    state = {n: v for n, v in codec.state_dict().items() if n.startswith(kept)}
    assert not model.load_state_dict(state, strict=False).unexpected_keys
    model.save(folder)
    shutil.copy(tiny / "tokenizer.json", folder)
    return model


@torch.no_grad()
def write_data(
    model: MultispeakerModel, folder: Path
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Write random latents and the semantic features of their sound; return both."""
    generator = torch.Generator().manual_seed(0)
    latents, semantic = {}, {}
    for utt_id, count in FRAMES.items():
        drawn = torch.randn(count, model.config.latent_dim, generator=generator)
        latents[utt_id] = model.unscale_latents(drawn)
        sound = DecoderStream(model.acoustic_tokenizer.decoder).decode(
            latents[utt_id][None]
        )
        stream = EncoderStream(model.semantic_tokenizer.encoder)
        semantic[utt_id] = stream.encode(sound)[0]
    folder.mkdir()
    for name, table in (("feats", latents), ("semantic", semantic)):
        arrays = {utt_id: value.numpy() for utt_id, value in table.items()}
        kaldiio.save_ark(f"{folder}/{name}.ark", arrays, scp=f"{folder}/{name}.scp")
    write_table(folder / "text", TEXTS)
    write_table(folder / "utt2spk", {utt_id: utt_id[0] for utt_id in TEXTS})
    write_table(folder / "speech_shape", FRAMES)
    return latents, semantic


def train(base: Path, data: Path, output: Path) -> None:
    """Train as the recipe does, in this process."""
    config = data / "train.yaml"
    config.write_text(yaml.safe_dump(TRAINING), encoding="utf-8")
    words = [f"--config={config}", f"--output_dir={output}", f"--tts_conf=base={base}"]
    words += [f"--token_list={data}/tokens.txt"]
    for mode in ("train", "valid"):
        option = f"--{mode}_data_path_and_name_and_type"
        words += [f"{option}={data}/text,text,text"]
        words += [f"{option}={data}/feats.scp,speech,kaldi_ark"]
        words += [f"--{mode}_shape_file={data}/speech_shape"]
    VibeVoiceTTSTask.main(cmd=words)


@pytest.fixture(scope="module")
def overfitted(tiny_multispeaker_base, tmp_path_factory) -> Overfitted:
    """Train; tests must not change the models."""
    folder = tmp_path_factory.mktemp("overfitting")
    model = write_base(tiny_multispeaker_base, folder / "base")
    latents, semantic = write_data(model, folder / "data")
    tts = VibeVoiceMultispeakerTTS(264, model.config.latent_dim, base=folder / "base")
    vocabulary = "\n".join(tts.tokenizer.vocabulary()) + "\n"
    (folder / "data/tokens.txt").write_text(vocabulary, encoding="utf-8")
    train(folder / "base", folder / "data", folder / "exp")
    config = folder / "exp/config.yaml"
    models = [
        VibeVoiceTTSTask.build_model_from_file(config, path, "cpu")[0].tts.eval()
        for path in (None, folder / "exp/latest.pth")
    ]
    return Overfitted(
        *models,
        latents=latents,
        semantic=semantic,
        tokens={k: torch.tensor(tts.tokenizer.encode(t)) for k, t in TEXTS.items()},
        prompts=read_table(folder / "exp/utt2prompt.train"),
    )


@torch.no_grad()
def evaluate(
    tts: VibeVoiceMultispeakerTTS, overfitted: Overfitted
) -> MultispeakerLosses:
    """Compute the losses of the four utterances under fixed draws."""
    tables = (overfitted.tokens, overfitted.latents, overfitted.semantic)
    tokens, latents, semantic = (list(table.values()) for table in tables)
    batch = MultispeakerBatch(
        pad_sequence(tokens, batch_first=True),
        torch.tensor([len(ids) for ids in tokens]),
        pad_sequence(latents, batch_first=True),
        pad_sequence(semantic, batch_first=True),
        torch.tensor([len(frames) for frames in latents]),
    )
    return tts.model.compute_losses(
        batch,
        replace(tts.loss_settings, ddpm_batch_mul=DRAWS, uncond_rate=0.0),
        generator=torch.Generator().manual_seed(1),
    )


def test_overfitting_diffusion_loss_falls_below_a_twentieth(overfitted):
    before = evaluate(overfitted.untrained, overfitted)
    after = evaluate(overfitted.trained, overfitted)
    assert after.diffusion_loss < 0.05 * before.diffusion_loss
    assert after.stop_accuracy == 1.0


@pytest.mark.parametrize("is_prompted", [False, True])
@pytest.mark.parametrize("utt_id", TEXTS)
def test_overfitting_generation_repeats_the_utterance(overfitted, utt_id, is_prompted):
    tts, voices = overfitted.trained, []
    if is_prompted:
        prompt_id = overfitted.prompts[utt_id]
        assert prompt_id != utt_id and prompt_id[0] == utt_id[0]
        voices = [overfitted.latents[prompt_id]]
    result = generate_script(
        tts.model,
        make_prompt(tts.tokenizer, overfitted.tokens[utt_id], voices),
        tts.generation_settings,
        torch.Generator().manual_seed(2),
    )
    control = tts.model.get_tokens()
    wanted = overfitted.latents[utt_id]
    frames = [control.speech_diffusion] * len(wanted)
    assert result.stopped_by_end
    assert result.tokens.tolist() == [*frames, control.speech_end, control.end_of_text]
    scaled = [tts.model.scale_latents(x).flatten() for x in (result.latents, wanted)]
    assert torch.corrcoef(torch.stack(scaled))[0, 1] > 0.9
