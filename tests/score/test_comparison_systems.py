import pytest

from espnet_vibevoice.score.comparison_systems import (
    agree,
    find_score_dir,
    open_systems,
)

WHISPER = {"name": "whisper", "kind": "whisper", "model": "large"}
CTC = {"name": "ctc", "kind": "espnet", "model": "asr/best.pth"}


@pytest.mark.parametrize("place", ["", "..", "../..", "score"])
def test_find_score_dir_of_set_decoding_experiment_and_itself(make_scores, place):
    folder = make_scores("exp/a/decode/test")
    assert find_score_dir(folder / place) == folder / "score"


def test_find_score_dir_two_decodings_raises_and_lists_them(make_scores):
    make_scores("exp/a/decode_1/test")
    folder = make_scores("exp/a/decode_2/test").parents[1]
    with pytest.raises(
        ValueError, match="has 2 scored sets: decode_1/test; decode_2/test. Give one"
    ):
        find_score_dir(folder)
    with pytest.raises(ValueError, match="has 2 scored sets"):
        find_score_dir(folder, "test")


def test_find_score_dir_two_sets_asks_for_set(make_scores):
    make_scores("exp/a/decode/valid")
    folder = make_scores("exp/a/decode/test").parents[1]
    with pytest.raises(ValueError, match="decode/test; decode/valid.*--set"):
        find_score_dir(folder)
    assert find_score_dir(folder, "valid").parent.name == "valid"


def test_find_score_dir_without_scores_raises(make_scores, tmp_path):
    folder = make_scores()
    with pytest.raises(FileNotFoundError, match="no finished scores of a set dev"):
        find_score_dir(folder, "dev")
    (folder / "score" / "meta.json").unlink()  # scoring was interrupted
    with pytest.raises(FileNotFoundError, match="no finished scores .* --stage 7"):
        find_score_dir(folder)
    with pytest.raises(FileNotFoundError, match="nothing: no such folder"):
        find_score_dir(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (("exp/a/decode/test", "exp/b/decode/test"), ["a", "b"]),
        (("exp/a/decode_1/test", "exp/a/decode_2/test"), ["decode_1", "decode_2"]),
        (
            ("exp/a/d1/test", "exp/b/d1/test", "exp/b/d2/test"),
            ["a/d1", "b/d1", "b/d2"],
        ),
        (("x/exp/a/decode/test", "y/exp/a/decode/test"), ["x", "y"]),
    ],
)
def test_open_systems_names_are_where_paths_differ(make_scores, places, names):
    folders = [make_scores(place) for place in places]
    assert [system.name for system in open_systems(folders, None, None)] == names


def test_open_systems_given_names_are_taken(make_scores):
    folders = [make_scores("exp/a/d/test"), make_scores("exp/b/d/test")]
    systems = open_systems(folders, ["Base", "Tuned"], None)
    assert [system.name for system in systems] == ["Base", "Tuned"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["one"], "got one; want 2 different ones"),
        (["same", "same"], "want 2 different ones"),
        (["a", "natural"], "got 'natural'; want names"),
        (["a", "b\tc"], "without tabs"),
    ],
)
def test_open_systems_bad_names_raise(make_scores, names, message):
    folders = [make_scores("exp/a/d/test"), make_scores("exp/b/d/test")]
    with pytest.raises(ValueError, match=message):
        open_systems(folders, names, None)


def test_open_systems_one_or_twice_the_same_raises(make_scores):
    folder = make_scores()
    with pytest.raises(ValueError, match="got 1 system, want two or more"):
        open_systems([folder], None, None)
    with pytest.raises(ValueError, match="given more than once: .*score"):
        open_systems([folder, folder.parent], None, None)


@pytest.mark.parametrize(
    ("meta", "title"),
    [
        ({"recognizers": [{**CTC, "model": "other.pth"}]}, "recogniser"),
        ({"recognizers": [WHISPER, CTC]}, "recogniser"),
        ({"recognizers": []}, "recogniser"),
        ({"normalizer": {"name": "prepare_text", "version": "2"}}, "normaliser"),
    ],
)
def test_agree_other_judges_raise(make_scores, meta, title):
    folders = [make_scores("exp/a/d/test"), make_scores("exp/b/d/test", **meta)]
    systems = open_systems(folders, None, None)
    with pytest.raises(ValueError, match=f"not scored with the same {title}.*b: "):
        agree(systems)


def test_agree_further_recognisers_and_models_are_left_out_with_a_note(make_scores):
    meta = {"recognizers": [CTC, WHISPER]}
    other = {"recognizers": [CTC, {**WHISPER, "model": "tiny"}]}
    other["speaker_model"] = {"kind": "wavlm", "model": "base"}
    folders = [
        make_scores("exp/a/d/test", **meta),
        make_scores("exp/b/d/test", **meta | other),
    ]
    agreement = agree(open_systems(folders, None, None))
    assert agreement.recognizers == ("ctc",)
    assert agreement.left_out == ("speaker_similarity",)
    assert agreement.notes == (
        "Recognisers that did not judge all: whisper.",
        "speaker_similarity is left out: speaker_model is not the same for all.",
    )


def test_agree_common_further_recogniser_stays(make_scores):
    meta = {"recognizers": [CTC, WHISPER]}
    folders = [make_scores(f"exp/{tag}/d/test", **meta) for tag in "ab"]
    agreement = agree(open_systems(folders, None, None))
    assert agreement.recognizers == ("ctc", "whisper")
    assert agreement.notes == ()


def test_agree_lists_common_utterances_and_tells_the_others(make_scores):
    shared = {"fa_2": "سلام دنیا", "fa_3": "هوا خوب است"}
    first = {"fa_1": "فقط اینجا", **shared, "fa_4": "متن اول"}
    second = {**shared, "fa_4": "متن دوم"}
    folders = [
        make_scores("exp/a/d/test", references=first),
        make_scores("exp/b/d/test", references=second),
    ]
    agreement = agree(open_systems(folders, None, None))
    assert agreement.utterances == ("fa_2", "fa_3")
    assert agreement.notes == (
        "1 of 4 utterances of a are not in all systems: fa_1.",
        "1 utterances have different references and are left out: fa_4.",
    )


def test_agree_nothing_in_common_raises(make_scores):
    folders = [
        make_scores("exp/a/d/test", references={"fa_1": "یک"}),
        make_scores("exp/b/d/test", references={"fa_1": "دو"}),
    ]
    with pytest.raises(ValueError, match=r"no utterance with the same text in common"):
        agree(open_systems(folders, None, None))
