"""`daydreamer new-robot`: a package of its own, made of the folder of a robot that is like it."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import io
import keyword
import re
import shutil
import tokenize
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.robots.registry import ENTRY_POINTS, discover, find_robot

PROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1.0"
description = "{name}, a robot of daydreamer's."
requires-python = ">=3.11"
dependencies = ["daydreamer"]

# This line is all that daydreamer needs to find the robot.
[project.entry-points."daydreamer.robots"]
{name} = "{package}:ROBOT"

[tool.setuptools]
packages = ["{package}"]

[tool.setuptools.package-data]
{package} = ["*.xml", "*.yaml"]
"""

README = """\
# {name}

A robot of daydreamer's, begun as a copy of '{like}': every figure, limit and pose in `{package}/` is that robot's until
you have changed it. **Nothing here may drive a real robot before.**

    pip install -e .
    daydreamer check-contract {name}
    daydreamer learn {name}
"""

TEST = '''\
"""The robot keeps daydreamer's contract."""

import pytest

from daydreamer.conformance import describe, examine, failures
from {package} import ROBOT


@pytest.mark.parametrize("task", ROBOT.tasks)
def test_contract(task, tmp_path):
    checks = examine(ROBOT, task, tmp_path)
    assert not failures(checks), describe(checks)
'''


def new_robot(name: str, like: str) -> None:
    """Makes the package in ./NAME and prints what to do with it.

    Raises:
      UserError: the name or the directory cannot be used, or there is no robot to begin with.
    """
    package = f"{name}_robot"
    _check_name(name, package)
    directory = Path(name)
    if directory.exists():
        raise UserError(f"{directory} exists already; choose another name, or move it away.")
    source, folder = _folder_of(like)
    try:
        _copy(folder, directory / package, _Renaming(like, name, source, package))
        fields = {"name": name, "package": package, "like": like, "distribution": package.replace("_", "-")}
        (directory / "tests").mkdir()
        for path, text in (
            (directory / "pyproject.toml", PROJECT),
            (directory / "README.md", README),
            (directory / "tests" / "test_contract.py", TEST),
        ):
            path.write_text(text.format(**fields))
    except OSError as error:
        raise UserError(f"{directory} cannot be written ({error.strerror}); choose another directory.") from error
    console = Terminal()
    console.print(f"{directory}/ is a robot like '{like}'. Next:\n", soft_wrap=True)
    for command in (f"pip install -e ./{name}", f"daydreamer check-contract {name}", f"daydreamer learn {name}"):
        console.print(f"    {command}", soft_wrap=True)
    console.print(f"\nThen make {directory / package} your robot's: docs/new_robot.md says how.", soft_wrap=True)


def _check_name(name: str, package: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(f"'{name}' cannot be a robot's name; use a word of lower-case letters and digits, as my_cart.")
    if name in discover():
        raise UserError(f"There is a robot '{name}' already, from {discover()[name].provider}; choose another name.")
    if importlib.util.find_spec(package) is not None:
        raise UserError(f"A package {package} is installed already; choose another name.")


def _folder_of(like: str) -> tuple[str, Path]:
    """The importable package of a robot, and where it lies.

    Raises:
      UserError: there is no such robot, or it is more than a folder.
    """
    find_robot(like)
    provider = discover()[like].provider
    package = f"daydreamer.robots.{like}"
    if provider != "daydreamer":
        (entry,) = metadata.entry_points(group=ENTRY_POINTS, name=like)
        package = entry.module
    place = getattr(importlib.import_module(package), "__path__", None)
    if place is None:
        raise UserError(f"'{like}' is the single module {package} and no folder; copy it by hand.")
    return package, Path(next(iter(place)))


@dataclasses.dataclass(frozen=True)
class _Renaming:
    """What takes the place of what in the files of a copy; prose stays, because figures and sources are still theirs.

    Attributes:
      like, name: the robots.
      source, package: the packages of the two, as imports have them.
    """

    like: str
    name: str
    source: str
    package: str

    def file_name(self, text: str) -> str:
        return re.sub(rf"^{re.escape(self.like)}(?=\.)", self.name, text)

    def model(self, text: str) -> str:
        """A model in MJCF has the robot's name in quotes."""
        return re.sub(rf"([\"']){re.escape(self.like)}\1", rf"\g<1>{self.name}\g<1>", text)

    def python(self, text: str) -> str:
        """A module has the package, the constant that is called like the robot, and its name as whole strings."""
        text = re.sub(rf"\b{re.escape(self.source)}\b", self.package, text)
        edits = []
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            new = self._token(token)
            if new != token.string:
                edits.append((token.start, token.end, new))
        return _edited(text, edits)

    def _token(self, token: tokenize.TokenInfo) -> str:
        if token.type == tokenize.NAME and token.string == self.like.upper():
            return self.name.upper()
        if token.type == tokenize.STRING:
            pattern = rf"^([\"']){re.escape(self.like)}(\.xml)?\1$"
            return re.sub(pattern, rf"\g<1>{self.name}\g<2>\g<1>", token.string)
        return token.string

    def entry(self, text: str) -> str:
        """The module with the `Robot` says what is true of the other one alone: it has been tried, and has drivers."""
        fresh = {
            "summary": f'"{self.name}, begun as a copy of {self.like}"',
            "tried": '"nothing yet"',
            "interfaces": "{}",
        }
        keywords = [
            keyword
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Robot"
            for keyword in node.keywords
            if keyword.arg in fresh
        ]
        edits = []
        for each in sorted(keywords, key=lambda keyword: keyword.value.lineno):
            value = each.value
            begin, end = (value.lineno, value.col_offset), (value.end_lineno, value.end_col_offset)
            edits.append((begin, end, fresh[each.arg]))
        return re.sub(r"\bInterface, |, Interface\b", "", _edited(text, edits))


def _copy(folder: Path, directory: Path, renaming: _Renaming) -> None:
    """Copies what the robot's entry and twin are made of; what only its drivers import stays behind."""
    directory.mkdir(parents=True)
    modules = _modules(folder, renaming.source, ("__init__", "twin"))
    for path in sorted(folder.iterdir()):
        if path.is_dir() or (path.suffix == ".py" and path.stem not in modules):
            continue
        target = directory / renaming.file_name(path.name)
        if path.suffix == ".py":
            text = renaming.python(path.read_text())
            target.write_text(renaming.entry(text) if path.stem == "__init__" else text)
        elif path.suffix == ".xml":
            target.write_text(renaming.model(path.read_text()))
        else:
            shutil.copyfile(path, target)


def _modules(folder: Path, package: str, begin: tuple[str, ...]) -> set[str]:
    """Modules of a package that these import, one through another, and these."""
    found: set[str] = set()
    queue = list(begin)
    while queue:
        module = queue.pop()
        path = folder / f"{module}.py"
        if module in found or not path.is_file():
            continue
        found.add(module)
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            queue += [name[len(package) + 1 :] for name in names if name.startswith(f"{package}.")]
    return found


_Edit = tuple[tuple[int, int], tuple[int, int], str]


def _edited(text: str, edits: Sequence[_Edit]) -> str:
    """A text with spans of (line from 1, column) replaced; the spans are in order and apart."""
    lines = text.splitlines(keepends=True)
    for (first, begin), (last, end), new in reversed(edits):
        lines[first - 1 : last] = [lines[first - 1][:begin] + new + lines[last - 1][end:]]
    return "".join(lines)
