"""One command per file: argparse and one call."""
