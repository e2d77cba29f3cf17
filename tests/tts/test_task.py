"""The stages of ESPnet's task in this process: statistics, training, decoding."""

import logging

import numpy as np
import pytest
import soundfile
import torch
import yaml
from espnet2.bin import tts_inference
from espnet2.bin.tts_inference import Text2Speech
from espnet2.tasks.tts import TTSTask
from espnet2.train.preprocessor import CommonPreprocessor
from espnet2.train.trainer import Trainer
from espnet2.tts.tacotron2 import Tacotron2

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.models.fingerprint import fingerprint_weights
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.preprocessor import VibeVoicePreprocessor
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

FRAMES = {"u1": "4", "u2": "3", "u3": "6"}


@pytest.fixture(scope="module")
def trained(make_train_args, tmp_path_factory):
    """An experiment after its first epoch; tests must not change it."""
    folder = tmp_path_factory.mktemp("exp")
    VibeVoiceTTSTask.main(make_train_args(folder))
    return folder


@pytest.fixture
def default_base(monkeypatch):
    def set_base(base):
        monkeypatch.setattr(VibeVoiceTTSTask, "default_base", base)

    return set_base


def read_config(folder):
    return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))


# ------------------------------------------------------------------ statistics


@pytest.mark.parametrize("mode", ["train", "valid"])
def test_collect_stats_shapes_count_frames_and_tokens(
    stats_dir, corpus, tiny_base, mode
):
    assert read_table(stats_dir / mode / "speech_shape") == FRAMES
    tokenizer = load_tokenizer(tiny_base)
    texts = read_table(corpus / "text")
    tokens = {
        utt_id: str(len(tokenizer.encode(text))) for utt_id, text in texts.items()
    }
    assert read_table(stats_dir / mode / "text_shape") == tokens


def test_collect_stats_writes_the_latents_of_each_utterance(
    stats_dir, corpus, tiny_base
):
    codec = load_codec(str(tiny_base))
    feats = read_table(stats_dir / "train/collect_feats/feats.scp")
    assert list(feats) == list(FRAMES)
    for utt_id, path in feats.items():
        waveform = soundfile.read(corpus / f"{utt_id}.wav", dtype="float32")[0]
        wanted = codec.encode(torch.from_numpy(waveform)).numpy()
        assert np.array_equal(np.load(path), wanted), utt_id


# ------------------------------------------------------------------ training


def test_train_writes_trained_parameters_only(trained):
    state = torch.load(trained / "1epoch.pth")
    weights = [name for name in state if name.startswith("tts.model.")]
    parts = {name.split(".")[2] for name in weights}
    assert {"tts_language_model", "prediction_head"} <= parts
    assert not {"language_model", "acoustic_tokenizer"} & parts
    assert state.keys() - weights == {"tts.base_fingerprint"}


def test_train_config_names_base_and_token_list(trained, tiny_base, corpus, stats_dir):
    config = read_config(trained)
    assert config["tts_conf"]["base"] == f"{tiny_base}/config.json"
    wanted = fingerprint_weights(tiny_base)
    assert config["tts_conf"]["base_fingerprint"] == wanted
    assert config["token_list"] == str(corpus / "tokens.txt")
    for mode in ("train", "valid"):
        latents = [f"{stats_dir}/{mode}/collect_feats/feats.scp", "speech", "npy"]
        assert latents in config[f"{mode}_data_path_and_name_and_type"]


def test_train_again_with_more_epochs_goes_on(make_train_args, tmp_path, caplog):
    for epochs in (1, 2):
        with caplog.at_level(logging.INFO):
            args = make_train_args(
                tmp_path, "--resume", "yes", "--keep_nbest_models", 9
            )
            args.max_epoch = epochs
            VibeVoiceTTSTask.main(args)
        if epochs == 1:
            first = (tmp_path / "1epoch.pth").read_bytes()
            caplog.clear()
    assert "The training was resumed using" in caplog.text
    assert "2/2epoch started" in caplog.text and "1/2epoch" not in caplog.text
    assert (tmp_path / "1epoch.pth").read_bytes() == first
    before = torch.load(tmp_path / "1epoch.pth")
    after = torch.load(tmp_path / "2epoch.pth")
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_train_same_seed_gives_the_same_model(make_train_args, trained, tmp_path):
    VibeVoiceTTSTask.main(make_train_args(tmp_path))
    first = torch.load(trained / "1epoch.pth")
    second = torch.load(tmp_path / "1epoch.pth")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_train_with_nothing_trained_raises(make_train_args, tmp_path):
    args = make_train_args(tmp_path, "--freeze_param", "tts")
    with pytest.raises(ValueError, match="nothing of the model is trained"):
        VibeVoiceTTSTask.main(args)


def test_train_on_audio_without_latents_raises(make_args, tmp_path):
    with pytest.raises(FileNotFoundError, match="training on .*wav.scp needs its lat"):
        VibeVoiceTTSTask.main(make_args(tmp_path))


# ------------------------------------------------------------------ decoding


@pytest.fixture
def our_task(monkeypatch):
    """What plugin.use_task does to espnet2.bin.tts_inference."""
    monkeypatch.setattr(tts_inference, "TTSTask", VibeVoiceTTSTask)


def test_decode_speaks_a_text(trained, our_task):
    speak = Text2Speech(trained / "config.yaml", trained / "1epoch.pth", seed=0)
    first = speak("سلام")["wav"]
    assert first.dim() == 1 and len(first) % 3200 == 0
    assert torch.isfinite(first).all()
    always = Text2Speech(
        trained / "config.yaml", trained / "1epoch.pth", always_fix_seed=True
    )
    assert torch.equal(always("سلام")["wav"], always("سلام")["wav"])


def test_decode_with_a_checkpoint_cut_off_names_the_file(trained, tmp_path):
    data = (trained / "1epoch.pth").read_bytes()
    path = tmp_path / "cut.pth"
    for size in (0, len(data) // 2):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"cut\.pth: cut off, or no checkpoint"):
            VibeVoiceTTSTask.build_model_from_file(trained / "config.yaml", path)


def test_decode_with_a_checkpoint_that_lacks_a_parameter_raises(
    trained, our_task, tmp_path
):
    state = torch.load(trained / "1epoch.pth")
    del state["tts.model.tts_eos_classifier.fc1.weight"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(ValueError, match="missing model.tts_eos_classifier.fc1.weight"):
        Text2Speech(trained / "config.yaml", tmp_path / "cut.pth")


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--tts_conf", "text_windw=5"],
            "text_windw, which VibeVoiceRealtimeTTS does not know: did you mean "
            "text_window?",
        ),
        (["--tts_conf", "zzz=5"], "has the key zzz, .* does not know: It knows idim"),
        (["--tts_conf", "base=null"], "tts: vibevoice_realtime needs a base model"),
        (["--token_type", "char"], "token_type is char, .* needs hugging_face"),
        (["--feats_extract", "fbank"], "feats_extract is fbank, .* vibevoice_latents"),
        (["--normalize", "global_mvn"], "normalize is global_mvn, .*--normalize none"),
        (["--use_amp", "yes"], "use_amp is true: .*precision: bfloat16"),
        (["--use_deepspeed", "yes"], "use_deepspeed is true, .* replaces the trainer"),
        (["--use_adapter", "yes"], "--use_adapter true: .*strategy: lora"),
        (["--train_dtype", "float16"], "train_dtype is float16: .* in float32"),
    ],
)
def test_main_wrong_argument_raises(make_train_args, tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        VibeVoiceTTSTask.main(make_train_args(tmp_path / "exp", *words))
    assert not (tmp_path / "exp").exists()


def test_build_model_other_token_list_raises(make_args, tmp_path):
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("a\nb\n", encoding="utf-8")
    args = make_args(tmp_path, "--token_list", tokens)
    message = r"tokens.txt \(2 tokens\) is not the vocabulary of .* \(258 tokens\)"
    with pytest.raises(ValueError, match=message):
        VibeVoiceTTSTask.build_model(args)


def test_build_model_without_token_list_takes_the_vocabulary(make_args, tmp_path):
    args = make_args(tmp_path, "--token_list", tmp_path / "absent.txt")
    model = VibeVoiceTTSTask.build_model(args)
    assert model.tts.model.config.latent_dim == 4
    assert args.token_list == str(tmp_path / "absent.txt")


def test_build_model_takes_the_base_of_the_command_line(
    make_args, tmp_path, tiny_base, default_base
):
    default_base(str(tiny_base))
    args = make_args(tmp_path, "--tts_conf", "base=null")
    VibeVoiceTTSTask.build_model(args)
    assert args.tts_conf["base"] == f"{tiny_base}/config.json"


def test_build_model_takes_empty_sections_as_defaults(
    make_args, tmp_path, tiny_base, default_base
):
    config = tmp_path / "train.yaml"
    config.write_text("tts: vibevoice_realtime\ntts_conf:\n", encoding="utf-8")
    default_base(str(tiny_base))
    args = make_args(tmp_path)
    words = ["--config", str(config), "--output_dir", str(tmp_path)]
    parsed = VibeVoiceTTSTask.get_parser().parse_args(words)
    args.tts_conf, args.feats_extract_conf = parsed.tts_conf, None
    model = VibeVoiceTTSTask.build_model(args)
    assert model.tts.loss_settings.text_window == 5
    fingerprint = model.tts.base_fingerprint
    named = {"base": f"{tiny_base}/config.json", "base_fingerprint": fingerprint}
    assert args.tts_conf == named


def test_main_hands_the_base_to_processes_it_starts(
    make_args, tmp_path, default_base, monkeypatch
):
    seen = []
    monkeypatch.setattr(VibeVoiceTTSTask, "main_worker", seen.append)
    default_base("owner/name")
    VibeVoiceTTSTask.main(make_args(tmp_path, "--tts_conf", "base=null"))
    VibeVoiceTTSTask.main(make_args(tmp_path, "--tts_conf", "base=other"))
    VibeVoiceTTSTask.main(make_args(tmp_path, "--tts", "tacotron2"))
    assert [args.tts_conf["base"] for args in seen[:2]] == ["owner/name", "other"]
    assert "base" in seen[2].tts_conf  # left as it was given: not our model


def test_fill_defaults_takes_the_encoder_of_the_command_line(monkeypatch):
    monkeypatch.setattr(VibeVoiceTTSTask, "default_base", "b")
    assert VibeVoiceTTSTask.fill_defaults(None) == {"base": "b"}
    monkeypatch.setattr(VibeVoiceTTSTask, "default_acoustic_encoder", "e")
    assert VibeVoiceTTSTask.fill_defaults({}) == {"base": "b", "acoustic_encoder": "e"}
    named = {"base": "x", "acoustic_encoder": "y"}
    assert VibeVoiceTTSTask.fill_defaults(named) == named


def test_build_model_hands_encoder_and_limit_to_the_extractor(
    make_args, tmp_path, tiny_base
):
    encoder = f"acoustic_encoder={tiny_base}"
    args = make_args(tmp_path, "--collect_stats", "yes", "--tts_conf", encoder)
    extractor = VibeVoiceTTSTask.build_model(args).feats_extract
    assert extractor.acoustic_encoder == str(tiny_base)
    assert extractor.limits.min_spectral_correlation == 0  # of the mini recipe


def test_build_preprocess_fn_uses_the_tokenizer_of_the_base(make_args, tmp_path):
    args = make_args(tmp_path)
    preprocess = VibeVoiceTTSTask.build_preprocess_fn(args, train=True)
    assert isinstance(preprocess, VibeVoicePreprocessor)
    args.use_preprocessor = False
    assert VibeVoiceTTSTask.build_preprocess_fn(args, train=True) is None


# ------------------------------------------------------------------ other models


@pytest.fixture
def other_args(tmp_path):
    """Options of a small Tacotron 2 on characters."""
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("<blank>\n<unk>\na\nb\n<sos/eos>\n", encoding="utf-8")
    sizes = "embed_dim elayers eunits econv_layers econv_chans dlayers dunits"
    sizes += " prenet_layers prenet_units postnet_layers postnet_chans adim aconv_chans"
    words = ["--output_dir", str(tmp_path), "--token_list", str(tokens), "--odim", "4"]
    words += ["--tts", "tacotron2", "--token_type", "char", "--normalize", "none"]
    for size in sizes.split():
        words += ["--tts_conf", f"{size}={1 if size.endswith('layers') else 4}"]
    return VibeVoiceTTSTask.get_parser().parse_args(words)


def test_other_model_is_built_as_espnet_does(other_args):
    assert not VibeVoiceTTSTask.is_ours(other_args)
    model = VibeVoiceTTSTask.build_model(other_args)
    assert type(model.tts) is Tacotron2
    preprocess = VibeVoiceTTSTask.build_preprocess_fn(other_args, train=False)
    assert type(preprocess) is CommonPreprocessor
    assert preprocess("u1", {"text": "ab"})["text"].tolist() == [2, 3]


def test_other_model_runs_through_espnets_worker_and_trainer(other_args, monkeypatch):
    seen = []

    def note(task, args):
        seen.append((task, task.trainer, args))

    monkeypatch.setattr(TTSTask, "main_worker", classmethod(note))
    VibeVoiceTTSTask.main(other_args)
    assert seen == [(TTSTask, Trainer, other_args)]


def test_parser_admits_our_token_type_beside_espnets():
    for task, admitted in ((TTSTask, False), (VibeVoiceTTSTask, True)):
        (action,) = (
            action
            for action in task.get_parser()._actions
            if "--token_type" in action.option_strings
        )
        assert {"bpe", "char", "word", "phn"} <= set(action.choices)
        assert ("hugging_face" in action.choices) is admitted
