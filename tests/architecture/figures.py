"""Figures of the code in `app`: sizes of functions, files and classes, imports, names.

    python -m tests.architecture.figures

prints them beside their bounds, which test_architecture.py enforces.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Figure(NamedTuple):
    """One figure, its upper bound, and where the largest value is."""

    name: str
    value: float
    bound: float
    where: str = ""


def sources() -> dict[Path, ast.Module]:
    """Return every module of `app`, by path."""
    return {path: ast.parse(path.read_text()) for path in sorted(APP.rglob("*.py"))}


def figures() -> list[Figure]:
    """Compute every figure."""
    modules = sources()
    bodies = sorted(_body_lines(function) for function, _ in _functions(modules))
    imports = sorted(_imports(tree) for tree in modules.values())
    lines = {path: len(path.read_text().splitlines()) for path in modules}
    longest = max(lines, key=lambda path: lines[path])
    methods = {f"{path.stem}.{node.name}": len(_methods(node)) for node, path in _classes(modules)}
    largest = max(methods, key=lambda name: methods[name])
    repeated = [name for name, count in Counter(node.name for node, _ in _classes(modules)).items() if count > 1]
    assigned = list(foreign_assignments(modules))
    return [
        Figure("function body, median lines", median(bodies), 5),
        Figure("function body, 90th percentile", _percentile(bodies, 0.9), 12),
        Figure("longest file, lines", lines[longest], 300, str(longest.relative_to(ROOT))),
        Figure("imports of a module, 90th percentile", _percentile(imports, 0.9), 14),
        Figure("most methods of a class", methods[largest], 20, largest),
        Figure("attributes of Session", len(session_attributes(modules)), 24),
        Figure("assignments to Session from other modules", len(assigned), 0, ", ".join(assigned)),
        Figure("class names used twice", len(repeated), 0, ", ".join(sorted(repeated))),
    ]


def session_attributes(modules: dict[Path, ast.Module]) -> set[str]:
    """Return the attributes of Session, from its `__slots__`."""
    [session] = [node for node, _ in _classes(modules) if node.name == "Session"]
    [slots] = [
        node.value
        for node in session.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__"
    ]
    return set(ast.literal_eval(slots))


def foreign_assignments(modules: dict[Path, ast.Module]) -> Iterator[str]:
    """Yield every assignment to an attribute of Session outside its module: `path:line`.

    A target is taken for a session if its name contains `session`.
    """
    attributes = session_attributes(modules)
    for path, tree in modules.items():
        if path.name == "session.py":
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store | ast.Del):
                continue
            if node.attr in attributes and "session" in ast.unparse(node.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno}"


def _functions(modules: dict[Path, ast.Module]) -> Iterator[tuple[Function, Path]]:
    for path, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield node, path


def _classes(modules: dict[Path, ast.Module]) -> Iterator[tuple[ast.ClassDef, Path]]:
    for path, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield node, path


def _methods(node: ast.ClassDef) -> list[Function]:
    return [one for one in node.body if isinstance(one, Function)]


def _body_lines(function: Function) -> int:
    """Count the lines of a body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def _imports(tree: ast.Module) -> int:
    return sum(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))


def _percentile(values: list[int], share: float) -> int:
    return values[min(int(len(values) * share), len(values) - 1)]


def main() -> int:
    """Print every figure; return 1 if one is out of bounds."""
    measured = figures()
    for name, value, bound, where in measured:
        mark = "" if value <= bound else "  OUT OF BOUNDS"
        sys.stdout.write(f"{name:44} {value:6g}  at most {bound:g}  {where}{mark}\n")
    return int(any(value > bound for _, value, bound, _ in measured))


if __name__ == "__main__":
    sys.exit(main())
