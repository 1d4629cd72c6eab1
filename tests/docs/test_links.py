"""Every relative link of the pages in the repository leads somewhere, to a heading if it names one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md", *(ROOT / "docs").glob("**/*.md")])

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
OTHER_SITES = ("http://", "https://", "mailto:")


def prose(page: Path) -> str:
    """The page without its code, in which brackets are no links."""
    lines = FENCE.sub("", page.read_text()).splitlines()
    return "\n".join(re.sub(r"`[^`]*`", "", line) for line in lines if not line.startswith("    "))


def anchors(page: Path) -> set[str]:
    """Names of the headings, as GitHub makes them: lower case, hyphens for spaces, no other punctuation."""
    names: dict[str, int] = {}
    found = set()
    for line in FENCE.sub("", page.read_text()).splitlines():
        if heading := re.match(r"#{1,6} +(.*?) *#*$", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            count = names[name] = names.get(name, -1) + 1
            found.add(f"{name}-{count}" if count else name)
    return found


def broken(page: Path) -> list[str]:
    """Links of the page that lead nowhere, each with the reason."""
    problems = []
    for target in LINK.findall(prose(page)):
        if target.startswith(OTHER_SITES):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.is_relative_to(ROOT) or not goal.exists():
            problems.append(f"{target}: there is no such file")
        elif anchor and anchor not in anchors(goal):
            problems.append(f"{target}: there is no such heading")
    return problems


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken(page) == []


def test_what_leads_nowhere_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# `ros2 launch`, and how it ends\n\n## Twice\n\n## Twice\n\n```\n# code\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#ros2-launch-and-how-it-ends) [b](other.md#twice-1) [c](https://example.org/x.md) `[d](no.md)`\n"
        "![e](missing.png) [f](other.md#code) [g](#nothing) [h](../outside.md)\n\n    [i](code.md)\n"
    )
    assert [problem.partition(":")[0] for problem in broken(page)] == [
        "missing.png",
        "other.md#code",
        "#nothing",
        "../outside.md",
    ]


def test_every_page_can_be_reached_from_the_first():
    reached, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in LINK.findall(prose(page)))
        queue += [(page.parent / target).resolve() for target in targets if target.endswith(".md")]
    assert set(PAGES) <= reached
