"""Time of the Persian front end for one sentence, against hazm's Normalizer.

Run ``python benchmarks/normalize_text.py``. Both run in turn on the same sentences in
one process; only the ratio is to be compared between machines. hazm does less: it reads
no numbers, dates or signs.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import hazm

from espnet_vibevoice.text import read_text

SENTENCES = [
    "به گزارش ایسنا، نرخ تورم در ۱۲ ماه منتهی به مهر ۱۴۰۲ به ۴۵٫۵٪ رسید و ۳ درصد "
    "بیشتر از پارسال شد.",
    "قیمت دلار امروز (۱۴۰۲/۸/۵) به ۵۱,۲۰۰ تومان رسید؛ سکه هم ۲۸ میلیون و ۵۰۰ هزار "
    "تومان معامله شد.",
    "زلزله ۵.۲ ریشتری ساعت ۳:۱۷ بامداد در عمق ۱۰ کیلومتری زمین رخ داد و ۲۰ تا ۳۰ "
    "نفر زخمی شدند.",
    "این کتاب ها را خوانده ام و می خواهم درباره ی آن ها بنویسم، ولی نمی دانم از "
    "کجا شروع کنم و چه بگویم.",
    "کوروش بزرگ در ۵۵۰ ق.م. شاهنشاهی هخامنشی را بنیاد نهاد؛ برای آشنایی بیشتر ر.ک. "
    "جلد II، ص ۱۲.",
    "سلااام، فایل report.pdf را به info@example.com بفرستید یا با ۰۹۱۲۱۲۳۴۵۶۷ تماس "
    "بگیرید 😊 #فوری",
]
LONG_LENGTH = 1_000_000


def measure(function: Callable[[str], object], repetitions: int) -> float:
    """Return the median time for one sentence, in milliseconds."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        for sentence in SENTENCES:
            function(sentence)
        times.append((time.perf_counter() - start) / len(SENTENCES))
    return 1000 * statistics.median(times)


def main() -> None:
    """Print the times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=50)
    repetitions = parser.parse_args().repetitions
    normalizer = hazm.Normalizer()
    for function in (read_text, normalizer.normalize):
        measure(function, 1)  # loads word lists, compiles patterns
    ours = measure(read_text, repetitions)
    theirs = measure(normalizer.normalize, repetitions)
    length = statistics.mean(map(len, SENTENCES))
    print(f"front end: {ours:.3f} ms for {length:.0f} characters")
    print(f"hazm:      {theirs:.3f} ms; the front end takes {ours / theirs:.2f} of it")
    text = (" ".join(SENTENCES) + "\n") * (LONG_LENGTH // sum(map(len, SENTENCES)))
    start = time.perf_counter()
    read_text(text)
    elapsed = time.perf_counter() - start
    print(f"one text of {len(text)} characters: {elapsed:.1f} s")


if __name__ == "__main__":
    main()
