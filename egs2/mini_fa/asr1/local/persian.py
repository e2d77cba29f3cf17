"""Persian words in the forms that a sentence asks for: ezafe, plural, endings, tenses.

A word's last letter decides how something is joined to it. A star after the word says
that this letter is a consonant although it looks like a vowel.
"""

ZWNJ = "\u200c"  # ZERO WIDTH NON-JOINER
NOT_JOINED = "اآدذرزژوؤء"  # letters that do not join the next one: no ZWNJ after them
PAST_ENDINGS = ("م", "ی", "", "یم", "ید", "ند")  # persons 1 to 6
PRESENT_ENDINGS = ("م", "ی", "د", "یم", "ید", "ند")
BEING = ("ام", "ای", "است", "ایم", "اید", "اند")
POSSESSIVE = ("م", "ت", "ش", "مان", "تان", "شان")
MI = f"می{ZWNJ}"


def join(word: str, ending: str) -> str:
    """Append an ending of its own, with a ZWNJ where the letters would join."""
    return word + ending if word[-1] in NOT_JOINED else word + ZWNJ + ending


def find_sound(word: str) -> str:
    """Tell how a word ends: consonant | he (silent) | ye | long (ا or و)."""
    if word.endswith("*"):
        return "consonant"
    return {"ه": "he", "ی": "ye", "ا": "long", "و": "long"}.get(word[-1], "consonant")


def inflect_noun(word: str, form: str, person: int) -> str:
    """Put a noun or adjective into a form.

    Args:
        word (str): The word, with its star.
        form (str): "" | ez | pl | plez | indef | er | own | my | your | his.
        person (int): Person of the sentence, 1 to 6, for ``own``.

    Raises:
        ValueError: If there is no such form.
    """
    sound, bare = find_sound(word), word.removesuffix("*")
    if form == "":
        return bare
    if form == "ez":
        return {"he": f"{bare}{ZWNJ}ی", "long": f"{bare}ی"}.get(sound, bare)
    if form in ("pl", "plez"):
        return join(bare, "ها" if form == "pl" else "های")
    if form == "er":
        return join(bare, "تر")
    if form == "indef":
        weak = {"he": f"{ZWNJ}ای", "ye": f"{ZWNJ}ای", "long": "یی"}
        return bare + weak.get(sound, "ی")
    owners = {"own": person, "my": 1, "your": 2, "his": 3}
    if form not in owners:
        raise ValueError(f"{form!r} is no form of a noun. Mend the pattern.")
    ending = POSSESSIVE[owners[form] - 1]
    if sound in ("he", "ye"):
        long = ending in ("مان", "تان", "شان")
        return bare + ZWNJ + ("" if long else "ا") + ending
    return bare + ("ی" if sound == "long" else "") + ending


def inflect_verb(verb: str, tense: str, person: int) -> str:
    """Put a verb into a tense and person.

    Args:
        verb (str): ``before past/present[/subjunctive]`` as in ``words.txt``.
        tense (str): past | impf | perf | plup | pres | subj | fut | imp, with an ``n``
            before it for the negation.
        person (int): 1 to 6.

    Raises:
        ValueError: If there is no such tense.
    """
    before, _, stems = verb.rpartition(" ")
    past, present, *irregular = stems.split("/")
    is_joined = "+" in past
    if is_joined:
        before, past = past.split("+")
    is_negative = tense.startswith("n")
    core = _conjugate(
        past,
        present,
        irregular[0] if irregular else "",
        tense.removeprefix("n"),
        person,
        is_negative=is_negative,
        takes_be=not is_joined and not (before and present in ("کن", "شو")),
    )
    return before + core if is_joined else f"{before} {core}".strip()


def _conjugate(
    past: str,
    present: str,
    subjunctive: str,
    tense: str,
    person: int,
    *,
    is_negative: bool,
    takes_be: bool,
) -> str:
    """Conjugate the verb itself, without what stands before it."""
    is_state, present = present.startswith("!"), present.removeprefix("!")
    index, no = person - 1, "ن" if is_negative else ""
    if tense == "past" or (tense == "impf" and is_state):
        return _prefix(no, past) + PAST_ENDINGS[index]
    if tense == "impf":
        return no + MI + past + PAST_ENDINGS[index]
    if tense == "perf":
        being = BEING[index]
        return _prefix(no, past) + "ه" + (" " if person == 3 else ZWNJ) + being
    if tense == "plup":
        return f"{_prefix(no, past)}ه بود{PAST_ENDINGS[index]}"
    if tense == "fut":
        return f"{no}خواه{PRESENT_ENDINGS[index]} {past}"
    if tense == "pres":
        mi = "" if is_state else MI
        return (_prefix(no, present) if is_state else no + mi + present) + (
            PRESENT_ENDINGS[index]
        )
    if tense not in ("subj", "imp"):
        raise ValueError(f"{tense!r} is no tense. Mend the pattern.")
    prefix = no or ("ب" if takes_be else "")
    if subjunctive:
        stem = prefix + subjunctive[1:]
    else:
        stem = _prefix(prefix, present)
    if tense == "imp" and person == 2:
        return stem.removesuffix("ی")
    return stem + PRESENT_ENDINGS[index]


def _prefix(prefix: str, stem: str) -> str:
    """Put ن or ب before a stem; a vowel at its beginning gets a glide."""
    if prefix and stem[0] == "آ":
        return f"{prefix}یا{stem[1:]}"
    if prefix and stem[0] == "ا" and not stem.startswith("ای"):
        return f"{prefix}ی{stem[1:]}"
    return prefix + stem
