"""Texts for people; those that were not written here are shown as they are, and never obeyed."""

from __future__ import annotations

import logging
import re
import zlib
from typing import Any, TypeVar, overload

import msgspec

_Decoded = TypeVar("_Decoded")

DEEPEST = 32
"""Levels of nesting that anything of ours may have."""

_NOT_SHOWN = re.compile(
    # Control characters but for the ends of lines and tabs, and what turns the direction of writing around. A terminal
    # obeys the former: it may change what is on the screen, or answer as if somebody had typed.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Possessive, and a string without end goes on to the end: whatever is written there is looked at once.
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def printable(text: object) -> str:
    """A text for a terminal: what a terminal would obey stands as `\\x1b` or `\\u202e`."""
    return _NOT_SHOWN.sub(lambda match: ascii(match[0])[1:-1], str(text))


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number of things in words: '1 episode', '2 episodes'."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def printable_line(text: str, length: int = 60) -> str:
    """A name or a phrase of somebody else's for the middle of a sentence: in one line, cut to a length."""
    clean = "".join(character if character.isprintable() else "?" for character in text[: length + 1])
    return clean if len(clean) <= length else f"{clean[: length - 1]}…"


class PrintableFormatter(logging.Formatter):
    """Log records for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


_CHECKSUM = re.compile(rb',"checksum":(\d{1,10})\}$')


def seal_json(content: bytes) -> bytes:
    """A JSON object with a CRC-32 of its bytes as its last member, 'checksum'."""
    return content[:-1] + b',"checksum":%d}' % zlib.crc32(content)


def unseal_json(content: bytes) -> bytes:
    """The object without its checksum, if it has one: what earlier versions wrote has none.

    Raises:
      ValueError: the checksum does not fit.
    """
    match = _CHECKSUM.search(content)
    if match is None:
        return content
    content = content[: match.start()] + b"}"
    if int(match[1]) != zlib.crc32(content):
        raise ValueError("its checksum does not fit its content")
    return content


@overload
def decode_json(content: bytes | str) -> Any: ...


@overload
def decode_json(content: bytes | str, type: type[_Decoded]) -> _Decoded: ...


def decode_json(content: bytes | str, type: Any = Any) -> Any:
    """JSON from a file that may be a stranger's.

    Raises:
      ValueError: it is not JSON, is not of this type, or is nested deeper than anything of ours.
    """
    content = content.encode() if isinstance(content, str) else content
    depth = 0
    for match in _JSON_TOKEN.finditer(content):
        token = match[0][:1]
        depth += (token in b"[{") - (token in b"]}")
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
    try:
        return msgspec.json.decode(content, type=type)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
