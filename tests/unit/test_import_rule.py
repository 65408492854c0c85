"""The import rule of docs/architecture.md, over every import statement of the project."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("isa", "simulator", "compiler", "frontends", "slmc")
ALLOWED = {
    "isa": ("isa",),
    "simulator": ("simulator", "isa"),
    "compiler": ("compiler", "isa"),
    "frontends": ("frontends", "compiler.dialects", "compiler.formats", "compiler.nibbles", "compiler.program"),
    "slmc": PACKAGES,
}


def imported_modules(source: str, path: Path) -> list[tuple[str, int]]:
    """Full module names with their lines; `from a import b` counts as a.b, which may be a module."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def violations(package: str, imports: list[tuple[str, int]]) -> list[str]:
    """Imports of our packages that `package` may not make."""
    return [
        f"line {line}: {name}"
        for name, line in imports
        if name.split(".")[0] in PACKAGES
        and not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED[package])
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {
        path.relative_to(ROOT).as_posix(): violations(package, imported_modules(path.read_text(encoding="utf-8"), path))
        for path in files
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("isa", "simulator.state"),
        ("simulator", "compiler.program"),
        ("compiler", "simulator.session"),
        ("compiler", "frontends.loading"),
        ("frontends", "compiler.driver"),
        ("frontends", "compiler.programmer"),
        ("frontends", "isa.spec"),
    ],
)
def test_the_rule_forbids(package: str, module: str) -> None:
    assert violations(package, [(module, 7)]) == [f"line 7: {module}"]


def without_typing_imports(path: Path) -> str:
    """The source without blocks under `if TYPE_CHECKING`, which never run."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    return ast.unparse(tree)


def test_modules_of_the_packages_do_not_import_each_other_in_circles() -> None:
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    graph = {
        name: {
            target
            for imported, _ in imported_modules(without_typing_imports(path), path)
            for target in (imported, imported.rpartition(".")[0])
            if target in names and target != name
        }
        for name, path in names.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())
