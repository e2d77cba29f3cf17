"""Scored sets on disk, written by the code that scoring uses."""

import pytest

from espnet_vibevoice.score.columns import NATURAL, RESYNTHESIS, SYNTHESIS
from espnet_vibevoice.score.error_rates import ZWNJ_READINGS, prepare_text, score_text
from espnet_vibevoice.score.scored_utterance import ScoredUtterance
from espnet_vibevoice.score.stored import write_scores
from espnet_vibevoice.score.summary import MeasureList, SetSummary

REFERENCES = {
    "fa_1": "دیروز عصر با دوستانم کنار رودخانه قدم زدیم",
    "fa_2": "آیا می\u200cتوانم وقت شما را بگیرم",  # ZERO WIDTH NON-JOINER
    "fa_3": "برف تا زانو بالا آمده بود",
    "fa_4": "مادر آرام لالایی می\u200cخواند",
    "fa_5": "بوی زیره و پسته به هم آمیخته بود",
    "fa_6": "پرواز تهران به شیراز تاخیر دارد",
}
CTC = {"name": "ctc", "kind": "espnet", "model": "asr/best.pth"}
META = {
    "set": "test",
    "recognizers": [CTC],
    "normalizer": {"name": "prepare_text", "version": "1"},
    "speaker_model": None,
    "versa": None,
    "decoding": "decode_best",
}


def hear_all(text):
    """Recognise a text as it is."""
    return text


def score_system(system, references, hear, measures, failed):
    for number, (utterance, reference) in enumerate(references.items()):
        has_audio = utterance not in failed
        heard = hear(prepare_text(reference)) if has_audio else ""
        texts = {z: score_text(reference, heard, z) for z in ZWNJ_READINGS}
        values = {name: value + 0.01 * number for name, value in measures.items()}
        yield ScoredUtterance(
            utterance=utterance,
            speaker="one",
            system=system,
            wav=f"{utterance}.wav",
            has_audio=has_audio,
            reasons=() if has_audio else ("no such file",),
            seconds=3.0 if has_audio else None,
            texts={"ctc": texts},
            reference=prepare_text(reference),
            measures=values if has_audio else {},
            faults=() if has_audio else ("empty",),
        )


@pytest.fixture
def make_scores(tmp_path):
    """Write a scored set: its place below tmp_path, what was heard, what differs."""

    def write(
        place="exp/a/decode/test",
        hear=hear_all,
        *,
        references=REFERENCES,
        failed=(),
        measures=None,
        **meta,
    ):
        measures = {"mcd": 5.0, "silence_share": 0.2} if measures is None else measures
        summary = SetSummary(MeasureList(("ctc",)), 1000, 0)
        rows = []
        for system, heard, missing in (
            (NATURAL, hear_all, ()),
            (RESYNTHESIS, hear_all, ()),
            (SYNTHESIS, hear, failed),
        ):
            given = {k: v for k, v in measures.items() if system != NATURAL}
            for one in score_system(system, references, heard, given, missing):
                summary.add(one)
                rows.append(one.make_row(("ctc",)))
        folder = tmp_path / place / "score"
        figures = summary.summarize({})
        write_scores(folder, meta=META | meta, summary=figures, rows=rows)
        return folder.parent

    return write
