"""Words of others, made fit to be shown."""

from __future__ import annotations


def printable(text: str, length: int = 60) -> str:
    """A message's or a node's own words without what a terminal would obey, cut to a length."""
    clean = "".join(character if character.isprintable() else "?" for character in text[: length + 1])
    return clean if len(clean) <= length else f"{clean[: length - 1]}…"
