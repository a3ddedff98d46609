"""The architecture: layers, sizes, folder maps, counters changed only by verbs, limits that limit, locks, documents."""

import ast
import re
from pathlib import Path

import msgspec
import pytest
from importlinter.cli import lint_imports

from app.core.limits import Limits
from tests.architecture.figures import APP, ROOT, figures, sources

MODULES = sources()
FOLDERS = sorted(path.parent for path in APP.rglob("__init__.py"))
MAX_FUNCTION_LINES = 45


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_layers_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None) == 0, capsys.readouterr().out


def test_figures_are_within_bounds() -> None:
    assert [figure for figure in figures() if figure.value > figure.bound] == []


def test_every_folder_of_python_files_is_a_package() -> None:
    folders = {path.parent for path in MODULES}

    assert len(MODULES) > 150
    assert folders == set(FOLDERS)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_has_a_docstring_and_small_functions(path: Path) -> None:
    tree = MODULES[path]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}

    assert ast.get_docstring(tree)
    assert {name: lines for name, lines in sizes.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != APP], ids=relative)
def test_folder_docstring_lists_its_modules(folder: Path) -> None:
    docstring = ast.get_docstring(MODULES[folder / "__init__.py"]) or ""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in folder.glob("*/__init__.py")}

    listed = {line.split()[0] for line in docstring.splitlines()[1:] if re.match(r"\w+/? +\S", line) and "  " in line}
    assert listed == modules | {f"{name}/" for name in folders}


def test_no_module_has_a_vague_name() -> None:
    assert not [path for path in MODULES if path.stem in {"utils", "helpers", "common", "misc", "util"}]


def test_core_has_no_coroutine() -> None:
    for path, tree in MODULES.items():
        if path.is_relative_to(APP / "core"):
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)], path


def test_counters_change_only_through_verbs() -> None:
    outside = {path: tree for path, tree in MODULES.items() if not path.is_relative_to(APP / "telemetry")}
    changed = [
        f"{relative(path)}:{node.lineno}"
        for path, tree in outside.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
        if re.search(r"\bstats\b|\._stats\b", ast.unparse(node.value))
    ]

    assert changed == []


def test_every_limit_is_read() -> None:
    read = {
        node.attr
        for path, tree in MODULES.items()
        if path != APP / "core" / "limits.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }
    names = {
        f"{group}.{field.name}"
        for group in Limits.__struct_fields__
        for field in msgspec.structs.fields(type(getattr(Limits(), group)))
    }

    assert len(names) > 50
    assert {name for name in names if name.partition(".")[2] not in read} == set()


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("requirements.lock", "pytest"),
        ("requirements.runtime.lock", "aiohttp"),
        ("requirements.build.lock", "hatchling"),
    ],
)
def test_locks_have_hashes_and_no_registry(name: str, needed: str) -> None:
    lock = (ROOT / name).read_text()
    requirements = dict(re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", lock, re.MULTILINE))
    everything = dict(re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    assert "://" not in lock
    assert needed in requirements
    assert requirements.items() <= everything.items()
    assert lock.count("--hash=sha256:") >= len(requirements)


def test_every_invariant_names_an_existing_test() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "invariants.md").read_text())

    assert len(named) >= 10
    for file, test in named:
        assert re.search(rf"\b{test}\b", (ROOT / file).read_text()), f"{file}::{test}"


def names_of_tests() -> list[str]:
    return [
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def test_test_names_have_at_most_eight_words() -> None:
    names = names_of_tests()

    assert len(names) > 500
    assert [name for name in names if name.count("_") > 8] == []


def test_commands_of_the_readme_select_tests() -> None:
    readme, names = (ROOT / "README.md").read_text(), names_of_tests()
    commands = re.findall(r"`(pytest [^`]+)`", readme)
    words = [
        word
        for command in commands
        for keys in re.findall(r'-k "?([^"]+?)"?(?: -s)?$', command)
        for word in keys.split(" or ")
    ]
    paths = [path for command in commands for path in re.findall(r"tests/\S+", command)]

    assert len(words) > 5
    assert [word for word in words if not any(word in name for name in names)] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_oracle_does_not_import_the_app() -> None:
    tree = ast.parse((ROOT / "tests" / "support" / "oracle.py").read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]

    assert not [node for node in imported if "app" in ast.unparse(node)]
