#!/usr/bin/env python3
"""Make sentences by the grammar beside it, for train, valid and test.

``grammar/patterns.txt`` and ``grammar/words.txt`` say how; their heads describe the
format. Of three candidates the one whose pairs of letters are rarest so far is taken,
so that all pairs occur often. The sets share no sentence, neither with each other nor
with the handwritten ones that ``--add`` puts in front of them. The same seed and
numbers give the same files.

Usage: local/make_sentences.py --add ../tts1/local/sentences --out downloads/sentences
"""

import argparse
import random
import re
from collections import Counter
from pathlib import Path

from persian import inflect_noun, inflect_verb

from espnet_vibevoice.data.atomic import open_atomic
from espnet_vibevoice.errors import run_command

GRAMMAR = Path(__file__).resolve().with_name("grammar")
SETS = ("train", "valid", "test")
START = "SENTENCE"
NUM_CANDIDATES = 3
MAX_WORDS = 16
MAX_TRIES = 50  # candidates in a row that are no new sentence
TOKEN = re.compile(r"[\[\](){}/]|[^\[\](){}/]+")
NO_LETTER = re.compile(r"[^\u0621-\u06cc]")  # what does not tell sentences apart

Rules = dict[str, list[tuple[int | None, str]]]
Words = dict[str, list[str]]


def get_parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--add", type=Path, help="folder with sentences by hand")
    parser.add_argument("--train", type=int, default=6000, help="sentences to make")
    parser.add_argument("--valid", type=int, default=75, help="likewise")
    parser.add_argument("--test", type=int, default=75, help="likewise")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def read_rules(path: Path) -> Rules:
    """Read patterns: name of a rule to its alternatives, each with its person."""
    rules: Rules = {}
    for line in read_lines(path):
        name, _, text = line.partition(":")
        name, _, person = name.partition("@")
        rules.setdefault(name, []).append((int(person) if person else None, text))
    return rules


def read_words(path: Path) -> Words:
    """Read words: class to its words, each once."""
    words: Words = {}
    for line in read_lines(path):
        name, _, listed = line.partition(":")
        found = words.setdefault(name, [])
        found += [w for w in listed.strip().split("، ") if w not in found]
    return words


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that are neither empty nor comments."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line and line[0] != "#"]


class Writer:
    """Writes one sentence after the other.

    Args:
        rules (Rules): Patterns.
        words (Words): Words.
        source (random.Random): Decides.
    """

    def __init__(self, rules: Rules, words: Words, source: random.Random):
        self._rules, self._words, self._source = rules, words, source
        self._person = 3
        self._used: set[str] = set()

    def write(self) -> str:
        """Write a sentence."""
        self._person, self._used = 3, set()
        text = " ".join(self._follow(START).split())
        return re.sub(r" (?=[.،؛؟!:»])|(?<=«) ", "", text)

    def _follow(self, name: str) -> str:
        """Write an alternative of a rule."""
        person, text = self._source.choice(self._rules[name])
        if person is not None:
            self._person = person
        tokens = TOKEN.findall(text)
        written = self._expand(tokens, "")[0]
        assert not tokens, (name, text)
        return written

    def _expand(self, tokens: list[str], end: str) -> list[str]:
        """Write tokens up to the closing one; the alternatives that slashes part."""
        parts = [""]
        while tokens:
            token = tokens.pop(0)
            if token == end:
                break
            if token == "[":
                kept, at_first = self._source.random() < 0.5, self._person
                inner = self._expand(tokens, "]")[0]
                parts[-1] += inner if kept else ""
                self._person = self._person if kept else at_first
            elif token == "(":
                parts[-1] += self._source.choice(self._expand(tokens, ")"))
            elif token == "{":
                parts[-1] += self._fill("".join(self._take(tokens)))
            elif token == "/":
                parts.append("")
            else:
                parts[-1] += token
        return parts

    def _take(self, tokens: list[str]) -> list[str]:
        """Take the content of a slot."""
        end = tokens.index("}")
        taken = tokens[:end]
        del tokens[: end + 1]
        return taken

    def _fill(self, slot: str) -> str:
        """Write what a slot asks for, no word twice in a sentence."""
        name, _, form = slot.partition("|")
        if name in self._rules:
            return self._follow(name)
        choices = [word for word in self._words[name] if word not in self._used]
        word = self._source.choice(choices or self._words[name])
        self._used.add(word)
        if name.startswith("verb."):
            return inflect_verb(word, form, self._person)
        return inflect_noun(word, form, self._person)


def make_sentences(writer: Writer, count: int, seen: set[str]) -> list[str]:
    """Make new sentences.

    Args:
        writer (Writer): Writes candidates.
        count (int): Sentences to make.
        seen (set[str]): Letters of sentences that must not come again; added to.

    Raises:
        RuntimeError: If the grammar has no more of them.
    """
    pairs: Counter[str] = Counter()
    made: list[str] = []
    tries = 0
    while len(made) < count:
        candidates = {writer.write(): None for _ in range(NUM_CANDIDATES)}
        new = [
            text
            for text in candidates
            if NO_LETTER.sub("", text) not in seen and text.count(" ") < MAX_WORDS
        ]
        tries = 0 if new else tries + 1
        if tries > MAX_TRIES:
            raise RuntimeError(
                f"the grammar gave {len(made)} sentences, wanted {count}. Give a "
                "smaller number, or add words and patterns."
            )
        if new:
            best = max(new, key=lambda text: rate_rarity(text, pairs))
            pairs.update(text_pairs(best))
            seen.add(NO_LETTER.sub("", best))
            made.append(best)
    return made


def text_pairs(text: str) -> list[str]:
    """List the pairs of neighbouring letters, within words."""
    return [
        a + b for a, b in zip(text, text[1:], strict=False) if a + b == (a + b).strip()
    ]


def rate_rarity(text: str, pairs: Counter[str]) -> float:
    """Rate how rare the pairs of a text are so far: their mean of 1 / (1 + count)."""
    found = text_pairs(text)
    return sum(1 / (1 + pairs[pair]) for pair in found) / len(found)


def main() -> None:
    """Write the files."""
    args = get_parser().parse_args()
    source = random.Random(args.seed)
    rules = read_rules(GRAMMAR / "patterns.txt")
    writer = Writer(rules, read_words(GRAMMAR / "words.txt"), source)
    added: dict[str, list[str]] = {name: [] for name in SETS}
    if args.add is not None:
        added = {name: read_lines(args.add / f"{name}.txt") for name in SETS}
    seen = {NO_LETTER.sub("", text) for texts in added.values() for text in texts}
    args.out.mkdir(parents=True, exist_ok=True)
    for name in reversed(SETS):  # small sets do not depend on the size of train
        texts = added[name] + make_sentences(writer, vars(args)[name], seen)
        content = "".join(f"{text}\n" for text in texts)
        with open_atomic(args.out / f"{name}.txt", keep_equal=True) as file:
            file.write(content.encode("utf-8"))
    print(f"{args.out}: {len(seen)} sentences")


if __name__ == "__main__":
    run_command(main)
