"""Training through ESPnet's trainer and ours: curves, resume, averages, dry step."""

import logging

import pytest
import torch
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.reporter import Reporter
from espnet2.train.trainer import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from espnet_vibevoice.tts.task import VibeVoiceTTSTask
from espnet_vibevoice.tts.trainer import VibeVoiceTrainer

# Three batches of one utterance; two make a step, so one is left over.
WORDS = ["--batch_type", "unsorted", "--batch_size", 1, "--accum_grad", 2]
WORDS += ["--tts_conf", "strategy=lora", "--tts_conf", "lora_dropout=0.5"]
WORDS += ["--tts_conf", "ema_decay=0.9", "--scheduler_conf", "warmup_steps=2"]
WORDS += ["--resume", "yes", "--use_matplotlib", "no"]
WORDS += ["--tts_conf", "max_frames=2", "--tts_conf", "num_sampling_steps=1"]
SPEED = {"frames_per_sec", "tokens_per_sec", "padding_share", "max_memory_GB"}
ESPNETS = {"loss", "diffusion_loss", "eos_loss", "optim0_lr0", "grad_norm"}


@pytest.fixture
def train(make_train_args, tmp_path):
    """Train in a folder; return what a resume reads."""

    def run(name, *words, max_epoch=2):
        args = make_train_args(tmp_path / name, *WORDS, *words)
        args.max_epoch = max_epoch
        VibeVoiceTTSTask.main(args)
        return torch.load(tmp_path / name / "checkpoint.pth", weights_only=False)

    return run


def read_losses(checkpoint):
    stats = checkpoint["reporter"]["stats"]
    names = ("loss", "diffusion_loss", "eos_loss")
    phases = ("train", "valid")
    return [stats[e][p][n] for e in sorted(stats) for p in phases for n in names]


def assert_same_weights(first, second):
    assert first["model"].keys() == second["model"].keys()
    for name, value in first["model"].items():
        assert torch.equal(value, second["model"][name]), name


def test_train_interrupted_between_epochs_equals_an_uninterrupted_run(train):
    wanted = train("whole", max_epoch=3)
    train("parts", max_epoch=1)
    resumed = train("parts", max_epoch=3)
    assert read_losses(resumed) == read_losses(wanted)
    assert_same_weights(resumed, wanted)


def test_train_with_and_without_dry_step_is_bit_equal(train):
    with_it = train("with", max_epoch=1)
    without = train("without", "--dry_step", "no", max_epoch=1)
    assert read_losses(with_it) == read_losses(without)
    assert_same_weights(with_it, without)


def test_train_samples_change_nothing(train, tmp_path):
    words = ["--use_matplotlib", "yes", "--num_att_plot", 1, "--sample_interval", 1]
    with_them = train("with", *words)
    without = train("without")
    for epoch in (1, 2):
        assert (tmp_path / f"with/samples/epoch{epoch}/u1.wav").is_file()
    assert read_losses(with_them) == read_losses(without)
    assert_same_weights(with_them, without)


def test_train_average_sees_each_optimiser_step(train):
    checkpoint = train("exp", max_epoch=2)
    (optimizer,) = checkpoint["optimizers"]
    steps = {int(state["step"]) for state in optimizer["state"].values()}
    assert steps == {2}  # one of each epoch
    assert int(checkpoint["model"]["tts.ema.updates"]) == 2


def test_train_ends_with_averages_of_lora_that_load(train, tmp_path):
    train("exp", "--keep_nbest_models", 2, max_epoch=2)
    path = tmp_path / "exp/valid.diffusion_loss.ave_2best.pth"
    model, _ = VibeVoiceTTSTask.build_model_from_file(
        tmp_path / "exp/config.yaml", path
    )
    state = model.state_dict()
    deltas = []
    for weights in (state, *(torch.load(tmp_path / f"exp/{n}epoch.pth") for n in "12")):
        b, a = (
            next(v for k, v in weights.items() if f"lora_{x}" in k and ".raw." not in k)
            for x in "BA"
        )
        deltas.append(b @ a)
    mean = (deltas[1] + deltas[2]) / 2
    assert (deltas[0] - mean).norm() < 0.1 * mean.norm()


def test_train_curves_carry_losses_rates_speed_and_memory(train, tmp_path, caplog):
    words = ["--use_tensorboard", "yes", "--use_matplotlib", "yes"]
    words += ["--log_interval", 1, "--num_att_plot", 1]
    with caplog.at_level(logging.INFO):
        train("exp", *words, max_epoch=1)
    events = EventAccumulator(str(tmp_path / "exp/tensorboard/train"))
    events.Reload()
    assert set(events.Tags()["scalars"]) >= SPEED | ESPNETS
    assert events.Tags()["images"] == ["sample_mel/u1"]
    assert events.Tags()["audio"] == ["sample/u1"]
    assert len(events.Scalars("padding_share")) == 4  # each step and the epoch
    for name in SPEED | ESPNETS:
        assert (tmp_path / f"exp/images/{name}.png").is_file(), name
    lines = [line for line in caplog.messages if line.startswith("1epoch:train:")]
    assert len(lines) == 3
    assert all("remaining time: epoch 0 seconds, training " in line for line in lines)


def test_train_step_has_the_rate_of_the_warm_up_and_cosine(train):
    words = ["--scheduler", "warmupcosinelr"]
    words += ["--scheduler_conf", "warmup_steps=1", "--accum_grad", 1]
    checkpoint = train("exp", *words, "--optim_conf", "lr=0.01")
    stats = checkpoint["reporter"]["stats"]
    # 6 steps: the peak at step 1, the minimum of a tenth at step 6
    falling = [0.001 + 0.009 * share for share in (1, 0.904508, 0.654508)]
    first = stats[1]["train"]["optim0_lr0"]
    # ESPnet notes the rate of the next step
    assert first == pytest.approx((falling[1] + falling[2] + 0.00410942) / 3, rel=1e-4)
    assert checkpoint["schedulers"] == [{"last_epoch": 6}]
    assert checkpoint["optimizers"][0]["param_groups"][0]["lr"] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--accum_grad", 4], "an epoch has 3 batches, but accum_grad is 4"),
        (["--sample_interval", -1], "sample_interval is -1: give a number"),
    ],
)
def test_train_wrong_option_raises(train, words, message):
    with pytest.raises(ValueError, match=message):
        train("exp", *words)


def test_train_one_epoch_drops_gradients_and_gives_processes_their_own_seed(
    make_train_args, tmp_path, monkeypatch
):
    options = VibeVoiceTrainer.build_options(make_train_args(tmp_path))
    model = torch.nn.Module()
    model.tts = torch.nn.Module()
    model.tts.weight = torch.nn.Parameter(torch.ones(2))
    started = []
    model.tts.start_epoch = started.append
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    draws = []

    def run_espnets(cls, *, model, iterator, **others):
        assert model.tts.weight.grad is None
        draws.append([torch.rand(()).item() for _ in iterator])
        return False

    monkeypatch.setattr(Trainer, "train_one_epoch", classmethod(run_espnets))
    lengths = {"text_lengths": torch.ones(1), "speech_lengths": torch.ones(1)}
    for rank in (None, 0, 1):
        model.tts.weight.grad = torch.ones(2)
        torch.manual_seed(7)
        VibeVoiceTrainer.train_one_epoch(
            model=model,
            iterator=[(["u1"], lengths)] * 2,
            optimizers=[optimizer],
            schedulers=[None],
            scaler=None,
            reporter=Reporter(3).start_epoch("train"),
            summary_writer=None,
            options=options,
            distributed_option=DistributedOption(dist_rank=rank),
        )
    assert started == [options.seed + 3] * 3
    assert draws[0] == draws[1]
    assert not set(draws[1]) & set(draws[2])
