"""Fuzz one target in this process: `python -m tests.fuzz.one NAME SECONDS FOLDER`.

The fuzzer ends the process. What it finds is left in the folder: the slowest input, and any that raised an unexpected
exception.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["app"]):
    from tests.fuzz.targets import CORPUS, SLOWEST, TARGETS, cpu_s

# Instrumented code is slower, so only inputs that seem slow are kept, and measured again without the fuzzer.
_SEEMS_SLOW_S = 0.001


def main(name: str, seconds: str, folder: Path) -> None:
    target = TARGETS[name]
    slowest_s = _SEEMS_SLOW_S

    def call(data: bytes) -> None:
        nonlocal slowest_s
        taken_s = cpu_s(target, data)
        if taken_s > slowest_s:
            slowest_s = taken_s
            (folder / SLOWEST).write_bytes(data)

    own = folder / "corpus"
    own.mkdir()
    limits = [f"-max_total_time={seconds}", f"-max_len={target.max_bytes}", "-len_control=0", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(own), str(CORPUS / name)], call)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
