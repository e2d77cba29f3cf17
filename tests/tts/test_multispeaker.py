"""The multi-speaker class as ESPnet calls it."""

import inspect
import logging

import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice import plugin
from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.multispeaker import VibeVoiceMultispeakerTTS
from espnet_vibevoice.tts.script_tokenizer import ScriptTokenizer

VOCAB_SIZE, LATENT_DIM, SEMANTIC_DIM = 264, 4, 6
DIALOGUE = "Speaker 1: سلام. Speaker 2: درود."


@pytest.fixture
def tokenizer(tiny_multispeaker_base):
    return load_tokenizer(tiny_multispeaker_base, kind=ScriptTokenizer)


@pytest.fixture
def make_tts(tiny_multispeaker_base):
    def make(**overrides):
        options = {
            "idim": VOCAB_SIZE,
            "odim": LATENT_DIM,
            "base": str(tiny_multispeaker_base),
        }
        return VibeVoiceMultispeakerTTS(**(options | overrides))

    return make


@pytest.fixture
def batch(tokenizer):
    """Two rows: a dialogue with two voices and 7 frames, a line without and 3."""
    prompts = [tokenizer.encode(DIALOGUE, [4, 2]), tokenizer.encode("خوب است")]
    generator = torch.Generator().manual_seed(1)
    return {
        "text": torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(ids) for ids in prompts], batch_first=True
        ),
        "text_lengths": torch.tensor([len(ids) for ids in prompts]),
        "feats": torch.randn(2, 7, LATENT_DIM, generator=generator),
        "feats_lengths": torch.tensor([7, 3]),
        "semantic": torch.randn(2, 7, SEMANTIC_DIM, generator=generator),
        "semantic_lengths": torch.tensor([7, 3]),
        "prompt_feats": torch.randn(2, 6, LATENT_DIM, generator=generator),
        "prompt_feats_lengths": torch.tensor([6, 0]),
        "utt_ids": ["a", "b"],
    }


def take_step(tts, optimizer, batch):
    optimizer.zero_grad()
    loss, _, _ = tts.train()(**batch)
    loss.backward()
    optimizer.step()
    return loss.detach()


def test_forward_gives_a_finite_loss_and_public_statistics(make_tts, batch):
    loss, stats, weight = make_tts().train()(**batch)
    assert loss.requires_grad and torch.isfinite(loss)
    names = ["loss", "diffusion_loss", "token_loss", "stop_loss", "stop_accuracy"]
    assert list(stats) == names
    assert not any(value.requires_grad for value in stats.values())
    assert torch.equal(stats["loss"], loss.detach()) and weight == 2


def test_forward_weights_make_up_the_loss(make_tts, batch):
    tts = make_tts(
        diffusion_weight=2.0, token_weight=3.0, stop_weight=5.0, uncond_rate=0.0
    )
    loss, stats, _ = tts.eval()(**batch)
    wanted = 2 * stats["diffusion_loss"] + 3 * stats["token_loss"]
    wanted += 5 * stats["stop_loss"]
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_forward_padding_changes_no_loss(make_tts, batch):
    tts = make_tts(uncond_rate=0.0).eval()
    loss, _, _ = tts(**batch)
    pad = torch.nn.functional.pad
    changed = {"text": pad(batch["text"], (0, 3), value=9)}
    for name in ("feats", "semantic", "prompt_feats"):
        changed[name] = pad(batch[name], (0, 0, 0, 4), value=5.0)
    padded, _, _ = tts(**(batch | changed))
    assert padded.item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["feats", "semantic", "prompt_feats"])
def test_forward_reads_latents_features_and_voices(make_tts, batch, name):
    tts = make_tts(uncond_rate=0.0).eval()
    loss, _, _ = tts(**batch)
    assert not torch.equal(tts(**(batch | {name: batch[name] + 1}))[0], loss)


def test_forward_voices_train_no_frames_of_their_own(make_tts, batch):
    tts = make_tts(uncond_rate=0.0, strategy="full").eval()
    voices = batch["prompt_feats"].clone().requires_grad_()
    tts(**(batch | {"prompt_feats": voices}))[0].backward()
    assert voices.grad[0].abs().sum() > 0 and (voices.grad[1] == 0).all()


def test_forward_without_semantic_features_raises(make_tts, batch):
    del batch["semantic"]
    with pytest.raises(ValueError, match=r"no semantic features: .*semantic\.scp"):
        make_tts()(**batch)


def test_save_and_load_gives_the_same_output(make_tts, batch, tmp_path):
    tts = make_tts()
    take_step(tts, torch.optim.AdamW(tts.parameters(), lr=1e-2), batch)
    torch.save(tts.state_dict(), tmp_path / "1epoch.pth")
    loaded = make_tts()
    before, _, _ = loaded.eval()(**batch)
    loaded.load_state_dict(torch.load(tmp_path / "1epoch.pth"))
    wanted, _, _ = tts.eval()(**batch)
    assert torch.equal(loaded(**batch)[0], wanted)
    assert not torch.equal(before, wanted)


def test_step_changes_what_is_trained_and_nothing_else(make_tts, batch):
    tts = make_tts(uncond_rate=0.0)
    before = {name: p.detach().clone() for name, p in tts.named_parameters()}
    optimizer = torch.optim.AdamW(tts.parameters(), lr=1e-2)
    for _ in range(2):  # the factors A move when B has left zero
        take_step(tts, optimizer, batch)
    for name, parameter in tts.named_parameters():
        is_changed = not torch.equal(parameter, before[name])
        assert is_changed == parameter.requires_grad, name


def test_inference_gives_a_finite_waveform(make_tts, tokenizer):
    tts = make_tts(max_frames_per_token=0.5).eval()
    ids = torch.tensor(tokenizer.encode("سلام"))
    output = tts.inference(ids, use_teacher_forcing=False, spembs=None, seed=3)
    assert list(output) == ["wav"]
    assert output["wav"].dim() == 1 and len(output["wav"]) % 3200 == 0
    assert torch.isfinite(output["wav"]).all()
    assert torch.equal(output["wav"], tts.inference(ids, seed=3)["wav"])


def test_inference_without_a_frame_is_silence_with_a_warning(
    make_tts, tokenizer, caplog
):
    tts = make_tts().eval()
    with torch.no_grad():  # the end of text is the likeliest token everywhere
        tts.model.language_model.norm.weight.zero_()
        tts.model.language_model.norm.register_forward_hook(
            lambda module, args, output: output + 1
        )
        rows = tts.model.lm_head.weight
        rows.zero_()
        rows[tts.model.tokens.end_of_text] = 1
    with caplog.at_level(logging.WARNING):
        output = tts.inference(torch.tensor(tokenizer.encode("سلام")), seed=0)
    assert "made no frame of speech" in caplog.text
    assert output["wav"].tolist() == [0.0] * 3200


@pytest.fixture
def recordings(tmp_path):
    paths = []
    for seed, frames in ((0, 3), (1, 2)):
        noise = np.random.default_rng(seed).normal(0, 0.05, 3200 * frames)
        paths.append(str(tmp_path / f"{seed}.wav"))
        soundfile.write(paths[-1], noise, 24000)
    return paths


def test_inference_puts_voices_into_the_prompt(make_tts, tokenizer, recordings):
    tts = make_tts(voice_prompt=recordings, max_frames=2).eval()
    spoken = []

    def record(prompts, settings, seeds):
        (prompt,) = prompts
        lengths = [len(voice) for voice in prompt.voices]
        spoken.append((prompt.layout.ids.tolist(), lengths))
        return [torch.zeros(1)]

    tts._speak = record
    tts.inference(torch.tensor(tokenizer.encode(DIALOGUE)))
    tts.inference(torch.tensor(tokenizer.encode("سلام")))
    tts.inference(torch.tensor(tokenizer.encode("سلام")), voice_prompt=recordings[1])
    assert spoken == [
        (tokenizer.encode(DIALOGUE, [3, 2]), [3, 2]),
        (tokenizer.encode("سلام", [3]), [3]),
        (tokenizer.encode("سلام", [2]), [2]),
    ]


def test_inference_speaker_without_a_voice_raises(make_tts, tokenizer, recordings):
    tts = make_tts(voice_prompt=recordings[0]).eval()
    with pytest.raises(ValueError, match="has 2 speakers, but there are 1 voices"):
        tts.inference(torch.tensor(tokenizer.encode(DIALOGUE)))


def test_inference_voice_shorter_than_a_frame_raises(make_tts, tokenizer, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(900, 0.1), 24000)
    tts = make_tts(voice_prompt=str(tmp_path / "short.wav")).eval()
    with pytest.raises(ValueError, match=r"short\.wav: .*at least 3200 samples"):
        tts.inference(torch.tensor(tokenizer.encode("سلام")))


def test_speak_row_speaks_with_the_voices_of_the_row(make_tts, batch):
    tts = make_tts(max_frames=2).eval()
    row = {"text": batch["text"][0], "prompt_feats": batch["prompt_feats"][0]}
    first = tts.speak_row(row, seed=0)
    assert torch.isfinite(first).all()
    assert torch.equal(tts.speak_row(row, seed=0), first)
    alone = batch["text"][1, : int(batch["text_lengths"][1])]
    assert torch.isfinite(tts.speak_row({"text": alone}, seed=0)).all()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"odim": 5}, r"latents have 5 dimensions, .*base has 4: dump them .*stage 5"),
        ({"voice_prompt_drop_rate": 2}, "tts_conf voice_prompt_drop_rate is 2"),
        ({"trained_parts": ["semantic_tokenizer"], "strategy": "custom"}, "Codecs are"),
    ],
)
def test_constructor_wrong_setting_raises(make_tts, overrides, message):
    with pytest.raises(ValueError, match=message):
        make_tts(**overrides)


def test_constructor_base_of_the_other_family_raises(make_tts, tiny_base):
    with pytest.raises(ValueError, match="not of the multi-speaker family"):
        make_tts(base=str(tiny_base))


@pytest.mark.parametrize("tts_class", plugin.TTS_CLASSES.values())
def test_defaults_of_the_plan_are_those_that_adapters_are_read_with(tts_class):
    given = inspect.signature(tts_class.__init__).parameters
    for name, default in build_plan.__kwdefaults__.items():
        assert given[name].default == default, name
