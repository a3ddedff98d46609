"""Print a random sample of docstrings and comments, for a reader who has never seen the project.

    python -m tests.architecture.sample [SEED] [COUNT] [FOLDER ...]

A sentence that such a reader does not understand at first reading should be rewritten. The same seed gives the same
sample of the same code.
"""

import ast
import io
import random
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.architecture.figures import ROOT


class Sentence(NamedTuple):
    """A docstring or comment: `path:line`, what it belongs to, and its text."""

    where: str
    subject: str
    text: str


def sentences(path: Path) -> Iterator[Sentence]:
    """Yield every docstring and every comment block of a file."""
    source, name = path.read_text(), path.relative_to(ROOT)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                subject = "module" if isinstance(node, ast.Module) else node.name
                yield Sentence(f"{name}:{getattr(node, 'lineno', 1)}", subject, docstring)
    lines = source.splitlines()
    for first, last, text in _comments(source):
        code = next((line.strip() for line in lines[last:] if line.strip()), "")
        yield Sentence(f"{name}:{first}", f"comment above `{code[:80]}`", text)


def _comments(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield the first line, the last line and the text of each block of comments."""
    block: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or token.string.startswith(("# type:", "# noqa")):
            continue
        if block and token.start[0] != block[-1][0] + 1:
            yield block[0][0], block[-1][0], " ".join(text for _, text in block)
            block = []
        block.append((token.start[0], token.string.removeprefix("# ")))
    if block:
        yield block[0][0], block[-1][0], " ".join(text for _, text in block)


def main(seed: str = "1", count: str = "60", *folders: str) -> None:
    """Print the sample; `folders` are relative to the project, `app` by default."""
    paths = [path for folder in folders or ("app",) for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [sentence for path in paths for sentence in sentences(path)]
    chosen = random.Random(int(seed)).sample(found, int(count))
    for number, (where, subject, text) in enumerate(chosen, start=1):
        indented = text.replace("\n", "\n    ")
        sys.stdout.write(f"{number}. {where} {subject}\n    {indented}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
