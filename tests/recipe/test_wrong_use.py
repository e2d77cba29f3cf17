"""Wrong use ends with one clear line and a status, never with a traceback."""

import re

import pytest

pytestmark = [pytest.mark.recipe, pytest.mark.slow]


def assert_refused(recipe, first, last, *options, message, status=1):
    """Run stages that must fail with a line that matches ``message``."""
    result = recipe.run(first, last, *options)
    assert result.returncode == status, result.stdout
    assert "Traceback" not in result.stdout
    lines = result.stdout.splitlines()
    found = [line for line in lines if re.match(r"error: |\S+: ", line)]
    assert any(re.search(message, line) for line in found), result.stdout


@pytest.mark.parametrize(
    "options, message",
    [
        (["--no_such", "1"], "tts.sh: unknown option --no_such"),
        (["word"], "tts.sh: no positional arguments are taken: word"),
        (["--train_config", "conf/no.yaml"], "tts.sh: no such file: conf/no.yaml"),
        (["--inference_config", "no.yaml"], "tts.sh: no such file: no.yaml"),
        (["--token_type", "char"], "--token_type char: only hugging_face is possible"),
        (["--feats_normalize", "global_mvn"], "only none is possible"),
        (
            ["--cleaner", "tacotron"],
            r"--cleaner tacotron: only persian\|none is possib",
        ),
        (["--test_sets", ""], "--train_set, --valid_set and --test_sets are required"),
    ],
)
def test_wrong_option_is_refused_before_any_stage(new_recipe, options, message):
    assert_refused(new_recipe, 1, 7, *options, message=message, status=2)
    assert not (new_recipe.folder / "data").exists()


def test_missing_corpus_fails_with_its_name(new_recipe):
    (new_recipe.folder / "local/sentences/train.txt").unlink()
    assert_refused(new_recipe, 1, 7, message="error: .*local/sentences/train.txt")


@pytest.mark.parametrize("stage, wanted", [(2, 1), (3, 2), (4, 3), (5, 3), (6, 5)])
def test_stage_without_its_input_names_the_stage_to_run(new_recipe, stage, wanted):
    message = rf"error: \S+ is missing: run stage {wanted} first \(--stage {wanted}\)"
    assert_refused(new_recipe, stage, stage, message=message)


@pytest.mark.parametrize("stage", [7, 8])
def test_stage_without_a_model_names_the_stage_to_run(new_recipe, stage):
    message = r"exp/tts_t/config.yaml is missing: run stage 6 first"
    packing = ("--skip_packing", "false")
    assert_refused(new_recipe, stage, stage, *packing, message=message)


def test_decoding_with_a_missing_epoch_lists_those_that_are_there(copied):
    message = r"99epoch.pth is missing: .*--inference_model one of: .*3epoch.pth"
    assert_refused(copied, 7, 7, "--inference_model", "99epoch.pth", message=message)


def test_text_that_does_not_match_the_audio_fails_with_the_utterance(copied):
    path = copied.folder / "data/train/text"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[1:]), encoding="utf-8")
    message = r"error: data/train: .*not in text: 1 \(fa_f1_train_0001\)"
    assert_refused(copied, 2, 2, message=message)


def test_unreadable_audio_fails_with_the_utterance(copied):
    broken = copied.folder / "broken.wav"
    broken.write_bytes(b"RIFF")
    path = copied.folder / "data/train/wav.scp"
    table = path.read_text(encoding="utf-8")
    wav = "downloads/mini_fa/wav/fa_f1_train_0001.wav"
    assert wav in table
    path.write_text(table.replace(wav, "broken.wav"), encoding="utf-8")
    message = "1 of 5 utterances are unusable.*fa_f1_train_0001: unreadable: broken.wav"
    assert_refused(copied, 2, 2, message=message)


def fill_disk_at(path):
    """Let the temporary file of an output be one to which nothing can be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f".{path.name}.tmp").symlink_to("/dev/full")


def test_no_space_for_audio_says_so_and_the_same_command_goes_on(copied):
    (done,) = copied.folder.glob("dump/raw/org/test/data/wav/*/fa_f2_test_0002.wav")
    content = done.read_bytes()
    done.unlink()
    (copied.folder / "dump/raw/org/test/.done").unlink()
    fill_disk_at(done)
    message = r"error: .*no space left while writing dump/raw/org/test/.*--dumpdir"
    assert_refused(copied, 2, 2, message=message)
    copied.succeed(2, 2)
    assert done.read_bytes() == content


def test_no_space_for_latents_says_so(copied):
    (copied.folder / "dump/latents/valid/.done").unlink()
    latents = copied.folder / "dump/latents/valid/feats.scp"
    latents.unlink()
    fill_disk_at(latents)
    message = r"error: .*no space left while writing dump/latents/valid/feats.scp"
    assert_refused(copied, 5, 5, message=message)


def test_text_without_a_reading_fails_with_the_reason_and_is_listed(
    finished, new_recipe, give_raw_texts
):
    give_raw_texts(new_recipe, finished)
    message = r"error: .*no_letters"
    assert_refused(new_recipe, 1, 4, message=message)
    listed = (new_recipe.folder / "data/train/no_letters.tsv").read_text("utf-8")
    assert listed == "utterance\ttext\ns_train_07\t😊\n"
    listed = (new_recipe.folder / "dump/raw/train/dropped.tsv").read_text("utf-8")
    assert "\ns_train_07\tno_letters\t" in listed


def test_text_that_lags_behind_speech_fails_with_the_window_to_set(copied):
    options = ("--train_args", "--tts_conf text_window=1")
    message = r"error: train: .* text lags behind in .*Set tts_conf: {text_window: \d"
    assert_refused(copied, 4, 4, *options, message=message)


@pytest.mark.parametrize("stage", [4, 5])
def test_base_that_does_not_exist_fails_with_its_name(copied, stage):
    options = ("--train_args", "--tts_conf base=/no/such")
    message = "error: /no/such: no such base folder"
    assert_refused(copied, stage, stage, *options, message=message)


def test_config_that_is_no_yaml_fails_with_its_name(copied):
    (copied.folder / "conf/broken.yaml").write_text("tts_conf: [\n", encoding="utf-8")
    options = ("--train_config", "conf/broken.yaml")
    message = "error: conf/broken.yaml is not valid YAML"
    assert_refused(copied, 4, 4, *options, message=message)


def test_training_key_that_the_model_does_not_know_is_named(copied):
    options = ("--tag", "x", "--train_args", "--tts_conf text_windw=8")
    message = "error: tts_conf has the key text_windw, .*did you mean text_window"
    assert_refused(copied, 6, 6, *options, message=message)


def test_training_key_that_espnet_does_not_know_is_named(copied):
    config = (copied.folder / "conf/train.yaml").read_text(encoding="utf-8")
    path = copied.folder / "conf/typo.yaml"
    path.write_text(f"{config}\nmax_epochs: 3\n", encoding="utf-8")
    options = ("--tag", "x", "--train_config", "conf/typo.yaml")
    message = r"error: unrecognized arguments: max_epochs \(from conf/typo.yaml\)"
    assert_refused(copied, 6, 6, *options, message=message)


def test_training_on_other_data_under_the_same_tag_is_refused(copied):
    path = copied.folder / "dump/raw/train/text"
    path.write_text(path.read_text(encoding="utf-8") + "x y\n", encoding="utf-8")
    message = (
        "error: exp/tts_t was begun with other data .*dump/raw/train/text changed.*"
        "remove it or give another --tag"
    )
    assert_refused(copied, 6, 6, message=message)
