r"""The word list and the verb stems of hazm (MIT), read from its data files.

Only the two files are read, once, at first use: importing hazm itself would import
its taggers. Nothing is downloaded.
"""

import functools
import importlib.util
import sys
from pathlib import Path

from espnet_vibevoice.text.persian.alphabet import ZWNJ

# Personal endings of formal verbs; the second half after a stem that ends in a vowel.
_PRESENT_ENDINGS = "م ی د یم ید ند یی ییم یید یند".split()
_PAST_ENDINGS = ["", "م", "ی", "یم", "ید", "ند"]
_PARTICIPLE_ENDINGS = [
    "ه",
    "ه\u200cام",
    "ه\u200cای",
    "ه\u200cایم",
    "ه\u200cاید",
    "ه\u200cاند",
]
_SPOKEN_PRESENT = ["ه", "ن", "ین"]
_SPOKEN_ENDINGS = "م ی ه د یم ین ید ن ند".split()
_OBJECTS = ["", "م", "ت", "ش", "مان", "تان", "شان", "مون", "تون", "شون"]
# Spoken stems that hazm lacks: raft, shod, goft, amad, dad, khast, danest ...
_SPOKEN_STEMS = (
    "ر ش گ د خوا تون دون ذار خون مون شین زن کن شناس بین فهم خور خر یا".split()
)
_WHOLE = frozenset("یاد یام یای یاین یایم یان خواد توان باید بایست شاید".split())
_ADJECTIVES = frozenset(
    "پیر جوان جدید قدیمی ارزان پیشرفته پیچیده شلوغ خلوت لاغر چاق قدبلند باهوش زرنگ "
    "تنبل ثروتمند فقیر مشهور معروف کثیف تمیز کهنه نازک کلفت پهن باریک عمیق کوچیک "
    "گرون ارزون خوشگل قشنگ تلخ ترش شور بامزه جذاب موفق ناموفق سالم مریض خطرناک ایمن "
    "حساس علمی عملی منطقی واقعی اصلی فنی قانونی طبیعی حیاتی عالی غنی ابتدایی طولانی "
    "جدی تاریک تیره کافی سنگین سبک نرم سفت بزرگ کوچک بلند پست مهربان".split()
)
_NO_ADJECTIVES = frozenset(["زمین"])


@functools.cache
def _find_data() -> Path:
    """Return hazm's folder of data files."""
    spec = importlib.util.find_spec("hazm")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(
            "hazm is not installed, its word list is needed to read Persian. Run: "
            "pip install --no-deps hazm==0.10.0"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


@functools.cache
def load_words() -> dict[str, tuple[int, str]]:
    """Load the word list.

    Returns:
        dict: Word to its frequency and parts of speech, e.g. ``N,AJ,ADV``; entries
        with none (``0``) include misspellings.
    """
    words = {}
    with open(_find_data() / "words.dat", encoding="utf-8") as file:
        for line in file:
            word, frequency, tags = line.rstrip("\n").split("\t")
            words[word] = (int(frequency), sys.intern(tags))
    return words


@functools.cache
def _load_stems() -> tuple[frozenset[str], frozenset[str]]:
    """Load past and present stems of the verbs."""
    past, present = set(), set()
    with open(_find_data() / "verbs.dat", encoding="utf-8") as file:
        for line in file:
            before, _, after = line.strip().partition("#")
            past.add(before)
            present.add(after)
    return frozenset(past - {""}), frozenset(present - {""})


def is_known(word: str) -> bool:
    """Tell whether a word is in the list with a part of speech.

    Example:
        >>> is_known("میدان"), is_known("میخواهم")
        (True, False)
    """
    return load_words().get(word, (0, "0"))[1] != "0"


def is_adjective(word: str) -> bool:
    """Tell whether a word is an adjective that can be compared.

    The list marks many nouns as adjectives too; those that are also adverbs, or whose
    comparative it has, are true ones.

    Example:
        >>> is_adjective("سریع"), is_adjective("هوا")
        (True, False)
    """
    words = load_words()
    tags = words.get(word, (0, "0"))[1].split(",")
    if word in _ADJECTIVES or {"AJ", "ADV"} <= set(tags):
        return word not in _NO_ADJECTIVES
    return "AJ" in tags and (f"{word}تر" in words or f"{word}{ZWNJ}تر" in words)


@functools.lru_cache(maxsize=65536)
def is_verb_form(word: str) -> bool:
    """Tell whether a word is what may follow the prefix of the durative.

    Example:
        >>> is_verb_form("روم"), is_verb_form("بینمش"), is_verb_form("ناب")
        (True, True, False)
    """
    if word in _WHOLE:
        return True
    return any(
        word.endswith(clitic) and _is_conjugated(word[: len(word) - len(clitic)])
        for clitic in _OBJECTS
    )


def _is_conjugated(word: str) -> bool:
    """Tell whether a word is a stem with a personal ending."""
    past, present = _load_stems()
    return (
        _has_ending(word, past, _PAST_ENDINGS)
        or _has_ending(word, present, _PRESENT_ENDINGS)
        or _has_ending(word, past, _PARTICIPLE_ENDINGS)
        or _has_ending(word, present, _SPOKEN_PRESENT)
        or _has_ending(word, frozenset(_SPOKEN_STEMS), _SPOKEN_ENDINGS)
    )


def _has_ending(word: str, stems: frozenset[str], endings: list[str]) -> bool:
    """Tell whether a word is one of the stems and one of the endings."""
    return any(
        word.endswith(ending) and word[: len(word) - len(ending)] in stems
        for ending in endings
    )
