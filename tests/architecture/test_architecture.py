"""The architecture holds: layers, sizes, maps that are complete, a lock that names no registry."""

import ast
import re
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
APP = sorted((ROOT / "app").rglob("*.py"))
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 45


def test_arrows_only_point_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None) == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", APP, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_noun_and_says_which(path: Path) -> None:
    source = path.read_text()
    docstring = ast.get_docstring(ast.parse(source)) or ""

    assert len(source.splitlines()) <= MAX_FILE_LINES
    assert docstring
    if path.name != "__init__.py":
        assert "his file owns" in docstring or "Read this first" in docstring


@pytest.mark.parametrize("path", APP, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_are_small(path: Path) -> None:
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}

    assert {name: lines for name, lines in sizes.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize(
    "folder", [path.parent for path in APP if path.name == "__init__.py"][1:], ids=lambda path: path.name
)
def test_a_folders_docstring_names_everything_in_it(folder: Path) -> None:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    names = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert {name for name in names - {"__init__"} if not re.search(rf"^ *{name}\b", docstring, re.MULTILINE)} == set()


def test_there_is_no_drawer_for_everything() -> None:
    drawers = {"utils", "helpers", "common", "misc", "util"}

    assert not [path for path in APP if path.stem in drawers]


def test_core_has_no_coroutine() -> None:
    for path in (ROOT / "app" / "core").glob("*.py"):
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)], path


def test_the_lock_names_hashes_and_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    requirements = re.findall(r"^([a-z0-9][\w.-]*)==", lock, re.MULTILINE)

    assert "://" not in lock
    assert len(requirements) > 20
    assert lock.count("--hash=sha256:") >= len(requirements)


def test_every_invariant_names_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "invariants.md").read_text())

    assert len(named) >= 10
    for file, test in named:
        assert re.search(rf"\b{test}\b", (ROOT / file).read_text()), f"{file}::{test}"


def test_the_oracle_knows_nothing_of_the_app() -> None:
    tree = ast.parse((ROOT / "tests" / "support" / "oracle.py").read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]

    assert not [node for node in imported if "app" in ast.unparse(node)]
