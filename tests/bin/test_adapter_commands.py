"""Commands that carry adapters between experiments, folders and bases."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from espnet2.bin import tts_inference
from transformers import VibeVoiceForConditionalGeneration

from espnet_vibevoice.adapters.folder import read_adapter
from espnet_vibevoice.models.loading import load_model
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

OPTIONS = ["--tts", "vibevoice_realtime", "--token_type", "hugging_face"]
OPTIONS += ["--normalize", "none", "--feats_extract", "vibevoice_latents"]
OPTIONS += ["--token_list", "-", "--max_epoch", "7", "--optim", "adamw"]
TTS_CONF = {
    "lora_targets": "attention_mlp",
    "lora_parts": {"prediction_head": {"rank": 2}},
    "lora_rank": 4,
    "max_frames": 3,
    "eos_threshold": 1.0,
}


@pytest.fixture(scope="module")
def made(tiny_base, tmp_path_factory):
    """Write what a training leaves, with random weights in place of trained ones."""
    return make_experiment(tmp_path_factory.mktemp("made") / "exp", tiny_base)


@pytest.fixture
def experiment(made, tmp_path):
    """Copy it for a test."""
    return Path(shutil.copytree(made, tmp_path / "exp", symlinks=True))


def make_experiment(folder, base, **tts_conf):
    args = VibeVoiceTTSTask.get_parser().parse_args([*OPTIONS, "--output_dir", "exp"])
    args.tts_conf = TTS_CONF | {"base": str(base)} | tts_conf
    model = VibeVoiceTTSTask.build_model(args)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.05 * noise
    folder.mkdir()
    torch.save(model.state_dict(), folder / "3epoch.pth")
    (folder / "valid.loss.best.pth").symlink_to("3epoch.pth")
    text = yaml.safe_dump(vars(args))
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder


def load(folder, name="valid.loss.best.pth"):
    files = folder / "config.yaml", folder / name
    return VibeVoiceTTSTask.build_model_from_file(*files)[0].tts.eval()


def speak(folder):
    return load(folder).inference(torch.arange(6), seed=1)["wav"]


def assert_equal_weights(first, second):
    states = first.state_dict(), second.state_dict()
    assert states[0].keys() == states[1].keys() and len(states[0]) > 30
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("layout", ["peft", "community"])
def test_export_and_import_give_the_same_experiment(
    run, experiment, tiny_base, tmp_path, layout
):
    out, again = tmp_path / "adapter", tmp_path / "again"
    status, said, _ = run("export_adapter", experiment, out, "--format", layout)
    assert status == 0
    assert "tts_language_model lora r4" in said and "acoustic_connector full" in said
    status, said, _ = run("import_adapter", out, again, "--base", tiny_base)
    assert status == 0
    assert "tensors matched" in said and "effect on a probe: hidden states" in said
    assert_equal_weights(load(experiment), load(again))
    config = yaml.safe_load((again / "config.yaml").read_text(encoding="utf-8"))
    assert config["max_epoch"] == 7 and config["output_dir"] == str(again)
    assert torch.equal(speak(experiment), speak(again))


def test_export_leaves_paths_of_the_training_out(run, experiment, tmp_path):
    path = experiment / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config |= {
        "train_data_path_and_name_and_type": [["/data/text", "text", "text"]],
        "valid_shape_file": ["/data/shape"],
        "output_dir": "/data/exp",
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    assert run("export_adapter", experiment, tmp_path / "adapter")[0] == 0
    shared = (tmp_path / "adapter" / "config.yaml").read_text(encoding="utf-8")
    assert "/data" not in shared and yaml.safe_load(shared)["max_epoch"] == 7


def test_import_without_configuration_decodes_through_espnet(
    run, experiment, tiny_base, tmp_path, monkeypatch
):
    out, again = tmp_path / "adapter", tmp_path / "again"
    run("export_adapter", experiment, out)
    (out / "config.yaml").unlink()
    assert run("import_adapter", out, again, "--base", tiny_base)[0] == 0
    monkeypatch.setattr(tts_inference, "TTSTask", VibeVoiceTTSTask)
    files = again / "config.yaml", again / "valid.loss.best.pth"
    assert_equal_weights(load(experiment), load(again))
    speech = tts_inference.Text2Speech(*files, seed=0)
    speech.tts.generation_settings = load(experiment).generation_settings
    assert speech("abc")["wav"].shape == (3 * 3200,)


def test_imported_weights_start_a_training(run, experiment, tiny_base, tmp_path):
    from espnet2.torch_utils.load_pretrained_model import load_pretrained_model

    run("export_adapter", experiment, tmp_path / "adapter")
    run("import_adapter", tmp_path / "adapter", tmp_path / "e", "--base", tiny_base)
    fresh, _ = VibeVoiceTTSTask.build_model_from_file(experiment / "config.yaml")
    load_pretrained_model(
        f"{tmp_path}/e/valid.loss.best.pth", fresh, ignore_init_mismatch=False
    )
    assert_equal_weights(load(experiment), fresh.tts)


@pytest.mark.parametrize("is_exported", [False, True])
def test_merge_makes_a_base_that_does_the_same(
    run, experiment, tiny_base, tmp_path, is_exported
):
    source = experiment
    if is_exported:
        source = tmp_path / "adapter"
        run("export_adapter", experiment, source)
    status, said, _ = run("merge_adapter", source, tmp_path / "merged")
    assert status == 0 and "tensors matched" in said
    merged = RealtimeModel.from_base(str(tmp_path / "merged"))
    tuned = load(experiment).model
    text = torch.arange(5)[None]
    assert torch.equal(merged.embed_text(text), tuned.embed_text(text))
    layer = "tts_language_model.layers.0.mlp.down_proj"
    ours = tuned.get_submodule(layer)
    wanted = ours.get_base_layer().weight + ours.get_delta_weight("default")
    assert torch.allclose(merged.get_submodule(layer).weight, wanted, atol=1e-6)
    assert (tmp_path / "merged/tokenizer.json").is_file()


def test_merge_scale_and_type_reach_the_weights(run, experiment, tiny_base, tmp_path):
    words = ["--scale", "0.5", "--dtype", "bfloat16", "--base", tiny_base]
    assert run("merge_adapter", experiment, tmp_path / "half", *words)[0] == 0
    half = RealtimeModel.from_base(str(tmp_path / "half"))
    name = "tts_eos_classifier.fc1.weight"
    ends = RealtimeModel.from_base(str(tiny_base)), load(experiment).model
    mean = sum(model.get_parameter(name) for model in ends) / 2
    assert torch.equal(half.get_parameter(name), mean.bfloat16().float())


def test_card_tells_what_people_need(run, experiment, tmp_path):
    words = ["--licence", "cc-by-4.0", "--title", "Persian, reading voice"]
    run("export_adapter", experiment, tmp_path / "adapter", *words)
    card = (tmp_path / "adapter/README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["language"] == ["fa"] and front["license"] == "cc-by-4.0"
    assert front["library_name"] == "peft" and "vibevoice" in front["tags"]
    assert "base_model" not in front  # a local path says nothing elsewhere
    assert "# Persian, reading voice" in card
    assert "| prediction_head | LoRA, rank 2, alpha 32, dropout 0.05, on" in card
    assert "| acoustic_connector | in full |" in card
    assert "- optim: adamw" in card and "without their consent" in card
    assert read_adapter(tmp_path / "adapter").base_fingerprint in card


def test_export_takes_the_checkpoint_that_is_named(run, experiment, tmp_path):
    state = torch.load(experiment / "3epoch.pth")
    state["tts.model.tts_eos_classifier.fc2.bias"] += 1
    torch.save(state, experiment / "4epoch.pth")
    run("export_adapter", experiment, tmp_path / "a", "--checkpoint", "4epoch.pth")
    bias = read_adapter(tmp_path / "a").full["tts_eos_classifier"]["fc2.bias"]
    assert torch.equal(bias, state["tts.model.tts_eos_classifier.fc2.bias"])
    words = ["--checkpoint", "5epoch.pth"]
    status, _, error = run("export_adapter", experiment, tmp_path / "b", *words)
    assert status == 1 and "there is 3epoch.pth, 4epoch.pth, valid" in error


def test_export_into_a_folder_with_something_in_it_is_refused(
    run, experiment, tmp_path
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").touch()
    status, _, error = run("export_adapter", experiment, tmp_path / "out")
    assert status == 1 and "exists and is not empty" in error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_export_that_fails_leaves_nothing(run, tiny_base, tmp_path):
    source = make_experiment(
        tmp_path / "exp", tiny_base, strategy="full", lora_parts={}
    )
    words = ["--format", "community"]
    status, _, error = run("export_adapter", source, tmp_path / "out", *words)
    assert status == 1 and "the community layout has no place" in error
    assert [path.name for path in tmp_path.iterdir()] == ["exp"]


def test_import_on_another_base_is_refused_with_both_fingerprints(
    run, experiment, tiny_base, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(tiny_base, other)
    model = RealtimeModel.from_base(str(other))
    model.tts_input_types.weight.data += 1
    model.save(other)
    run("export_adapter", experiment, tmp_path / "a")
    fingerprint = read_adapter(tmp_path / "a").base_fingerprint
    status, _, error = run(
        "import_adapter", tmp_path / "a", tmp_path / "e", "--base", other
    )
    assert status == 1
    assert f"made for a base with fingerprint {fingerprint}" in error
    assert f"{other} has " in error and not (tmp_path / "e").exists()


def test_import_with_all_zero_factors_is_refused(run, experiment, tiny_base, tmp_path):
    from safetensors.torch import load_file, save_file

    run("export_adapter", experiment, tmp_path / "a")
    path = tmp_path / "a/tts_language_model/adapter_model.safetensors"
    tensors = load_file(path)
    for name in tensors:
        if "lora_B" in name:
            tensors[name].zero_()
    save_file(tensors, path)
    words = [tmp_path / "e", "--base", tiny_base]
    status, _, error = run("import_adapter", tmp_path / "a", *words)
    assert status == 1 and "LoRA of tts_language_model changes nothing" in error
    status, _, error = run("export_adapter", tmp_path / "a", tmp_path / "b")
    assert status == 1 and "B is zero in all 14 layers" in error


def test_import_of_a_bare_community_folder_makes_a_custom_plan(
    run, experiment, tiny_base, tmp_path
):
    run("export_adapter", experiment, tmp_path / "a", "--format", "community")
    for name in ("vibevoice_adapter.json", "config.yaml"):
        (tmp_path / "a" / name).unlink()
    words = [tmp_path / "e", "--base", tiny_base]
    assert run("import_adapter", tmp_path / "a", *words)[0] == 0
    config = yaml.safe_load((tmp_path / "e/config.yaml").read_text(encoding="utf-8"))
    assert config["tts_conf"]["strategy"] == "custom"
    assert config["tts_conf"]["lora_parts"]["prediction_head"]["rank"] == 2
    assert_equal_weights(load(experiment), load(tmp_path / "e"))


def test_export_of_averaged_factors_is_refused(run, experiment, tmp_path):
    state = torch.load(experiment / "3epoch.pth")
    name = next(name for name in state if "lora_A" in name)
    state[name] *= 0.5
    torch.save(state, experiment / "valid.loss.ave_2best.pth")
    words = ["--checkpoint", "valid.loss.ave_2best.pth"]
    status, _, error = run("export_adapter", experiment, tmp_path / "a", *words)
    assert status == 1 and "the mean of factors is not the mean of models" in error


def test_export_of_a_checkpoint_for_resuming_is_refused(run, experiment, tmp_path):
    torch.save({"model": {}, "reporter": {}}, experiment / "checkpoint.pth")
    words = ["--checkpoint", "checkpoint.pth"]
    status, _, error = run("export_adapter", experiment, tmp_path / "a", *words)
    assert status == 1 and "not checkpoint.pth" in error


def test_description_names_base_and_parts(run, experiment, tiny_base, tmp_path):
    run("export_adapter", experiment, tmp_path / "a")
    path = tmp_path / "a/vibevoice_adapter.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["base"] == f"{tiny_base}/config.json"
    assert content["format_version"] == 1 and content["strategy"] == "lora"
    assert content["full"] == ["acoustic_connector", "tts_eos_classifier"]
    assert sorted(content["lora"]) == ["prediction_head", "tts_language_model"]


def test_merge_native_is_read_by_transformers_and_by_us(
    run, save_adapter, tiny_multispeaker_base, tmp_path
):
    save_adapter(tiny_multispeaker_base, tmp_path / "lora", 0.05, "vibevoice")
    words = [tmp_path / "lora", "--base", tiny_multispeaker_base]
    assert run("merge_adapter", words[0], tmp_path / "original", *words[1:])[0] == 0
    native = ["merge_adapter", words[0], tmp_path / "native", *words[1:]]
    status, said, _ = run(*native, "--format", "native")
    assert status == 0 and "tensors matched" in said
    models = [load_model(str(tmp_path / name)) for name in ("original", "native")]
    states = [model.state_dict() for model in models]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    theirs = VibeVoiceForConditionalGeneration.from_pretrained(tmp_path / "native")
    weight = theirs.get_input_embeddings().weight
    assert torch.equal(weight, models[0].language_model.embed_tokens.weight)


def test_merge_native_of_the_realtime_family_is_refused(
    run, experiment, tiny_base, tmp_path
):
    words = [experiment, tmp_path / "native", "--base", tiny_base]
    status, _, said = run("merge_adapter", *words, "--format", "native")
    assert status == 1 and "no class for the realtime family" in said
    assert not (tmp_path / "native").exists()
