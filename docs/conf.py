"""Configuration of the documentation's site: `sphinx-build -W -c docs . site`, from the root of the repository.

The root is the source directory, so that README.md and benchmarks/ are pages too, and the links between them, which
are those of the repository, need no rewriting.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from daydreamer import __version__  # noqa: E402

project = "daydreamer"
release = __version__
root_doc = "docs/index"
include_patterns = ["*.md", "benchmarks/README.md", "docs/**", "examples/*/README.md"]
exclude_patterns = [".*", "venv", "build", "install", "log", "sessions", "site"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.mermaid"]

myst_heading_anchors = 6  # as GitHub names them
myst_fence_as_directive = ["mermaid"]

default_role = "py:obj"  # what stands between single backticks is linked where it is known, and code otherwise
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True}
napoleon_use_ivar = True

html_theme = "furo"
html_title = "daydreamer"

# "  low, high: bounds" in a section of a docstring.
_SEVERAL_NAMES = re.compile(r"(?P<indent> +)(?P<names>\w+(?:, \w+)+): ")
_of_values: dict[str, list[str]] = {}


def part_names(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Before Napoleon: gives each of several attributes or arguments that are described together a line of its own."""
    if what in ("attribute", "data", "property"):
        _of_values[name] = list(lines)
    for index, line in reversed(list(enumerate(lines))):
        if match := _SEVERAL_NAMES.match(line):
            *others, last = match["names"].split(", ")
            lines[index] = f"{match['indent']}{last}: {line[match.end() :]}"
            lines[index:index] = [f"{match['indent']}{other}: see `{last}`." for other in others]


def restore_values(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """After Napoleon, which takes what stands before a colon in the docstring of a constant for its type."""
    lines[:] = _of_values.pop(name, lines)


def skip_fields(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Fields of a NamedTuple stand in its docstring; "Alias for field number 0" says nothing more."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def write_front_page(app: Sphinx, error: Exception | None) -> None:
    """The site begins with README.md."""
    if error is None and app.builder.format == "html":
        page = '<!doctype html><meta http-equiv="refresh" content="0; url=README.html">\n'
        (Path(app.outdir) / "index.html").write_text(page)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", part_names, priority=400)
    app.connect("autodoc-process-docstring", restore_values, priority=600)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("build-finished", write_front_page)
