import io

from espnet_vibevoice.data.progress import Progress


def test_progress_many_items_writes_about_twenty_lines():
    stream = io.StringIO()
    progress = Progress(1000, stream)
    for _ in range(1000):
        progress.update()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "progress: 0/1000" and lines[-1] == "progress: 1000/1000"
    assert 20 <= len(lines) <= 30


def test_progress_counts_several_at_once():
    stream = io.StringIO()
    progress = Progress(3, stream)
    progress.update(3)
    assert stream.getvalue() == "progress: 0/3\nprogress: 3/3\n"
