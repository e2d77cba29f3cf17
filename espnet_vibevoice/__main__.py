"""Run any module with our classes registered in ESPnet.

    python -m espnet_vibevoice [OPTIONS] -m espnet2.bin.tts_train ARGS...

This is what a recipe gives as ``--python "python3 -m espnet_vibevoice"``, so that
ESPnet's own commands, called by our stage driver or by ESPnet's, know our models.
``--base`` names the base model for commands whose options do not carry it,
``--acoustic_encoder`` the encoder of a base that brings none.
"""

import argparse
import runpy
import sys

from espnet_vibevoice.errors import run_command

# Commands that import espnet2.tasks.tts; the others start without it, faster.
TTS_COMMANDS = ("espnet2.bin.tts_", "espnet2.bin.gan_tts_")
# ESPnet's token stage admits no tokenizer of a language model, and its packing knows
# no base model; ours do.
REPLACED = {
    "espnet2.bin.tokenize_text": "espnet_vibevoice.bin.tokenize_text",
    "espnet2.bin.pack": "espnet_vibevoice.bin.pack",
}


def split_arguments(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Separate our own options from those of the module to run.

    Args:
        argv (list[str]): Everything behind ``python -m espnet_vibevoice``.

    Returns:
        tuple: Our options (``base``, ``acoustic_encoder``, ``module``) and the
        module's arguments.
    """
    parser = argparse.ArgumentParser(
        prog="python -m espnet_vibevoice",
        description="Run a module of ESPnet with the VibeVoice classes registered.",
    )
    parser.add_argument("--base", help="base model: folder or hub id[@revision]")
    parser.add_argument(
        "--acoustic_encoder",
        help="encoder in place of the base's own: checkpoint or .safetensors file",
    )
    parser.add_argument("-m", dest="module", required=True, help="module to run")
    if "-m" not in argv:
        parser.parse_args(argv)  # --help, or the error that -m is missing
        parser.error("write -m and the module as two words")
    end = argv.index("-m") + 2
    return parser.parse_args(argv[:end]), argv[end:]


def main() -> int | None:
    """Register, then run the module as if it had been called itself."""
    options, arguments = split_arguments(sys.argv[1:])
    module = REPLACED.get(options.module, options.module)
    if module.startswith(TTS_COMMANDS):
        from espnet_vibevoice.plugin import use_task

        use_task(base=options.base, acoustic_encoder=options.acoustic_encoder)
    if module.startswith("espnet_vibevoice.bin."):
        for name in ("base", "acoustic_encoder"):
            if vars(options)[name] is not None:
                arguments += [f"--{name}", vars(options)[name]]
    sys.argv = [module, *arguments]
    if module == "espnet2.bin.launch":
        return run_launch(module)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def run_launch(module: str) -> int:
    """Run ``espnet2.bin.launch``: it raises with 1000 lines of a log.

    The job runner below it has printed the end of that log already, so only the
    exit status is passed on.
    """
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except RuntimeError as err:
        if str(err) and "The last 1000 lines of" not in str(err):
            raise  # wrong options, not a failed job
        return 1
    return 0


if __name__ == "__main__":
    run_command(main)
