"""What snapshots and dreams have in common: arrays and metadata in one safetensors file."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from daydreamer.storage.files import open_file, read_file
from daydreamer.texts import decode_json

HEADER_BYTES = 1 << 22
"""Names, shapes and metadata; ours have some ten thousand."""


def read_tensors(path: Path, limit: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays by name and metadata of a file; `safetensors.numpy.load` keeps the metadata to itself.

    Raises:
      OSError: it cannot be read, see `read_file`.
      ValueError: it is not a safetensors file with metadata, or not all of one.
    """
    return decode_tensors(read_file(path, limit))


def decode_tensors(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """As `read_tensors`, of the content of a file.

    Raises:
      ValueError: it is not that of a safetensors file with metadata, or not all of one.
    """
    try:
        metadata = _metadata(content[8 : 8 + _header_size(content)])
        return safetensors.numpy.load(content), metadata
    # What the library makes of a type that numpy does not have is not among its errors.
    except (safetensors.SafetensorError, struct.error, LookupError, TypeError, AttributeError) as error:
        raise ValueError(repr(error)) from error


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata alone, whatever has become of the arrays.

    Raises:
      OSError: it cannot be read, see `open_file`.
      ValueError: it does not begin as a safetensors file with metadata.
    """
    with os.fdopen(open_file(path), "rb") as file:
        try:
            return _metadata(file.read(_header_size(file.read(8))))
        except (struct.error, LookupError) as error:
            raise ValueError(repr(error)) from error


def _header_size(content: bytes) -> int:
    (size,) = struct.unpack_from("<Q", content)
    if size > HEADER_BYTES:
        raise ValueError(f"a header of {size} bytes")
    return int(size)


def _metadata(header: bytes) -> dict[str, str]:
    metadata = decode_json(header, dict[str, dict[str, Any]])["__metadata__"]
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("metadata that are no texts")
    return metadata


def decode_metadata(metadata: dict[str, str]) -> dict[str, Any]:
    """Values of metadata that are JSON each.

    Raises:
      ValueError: one is not, see `decode_json`.
    """
    return {name: decode_json(value) for name, value in metadata.items()}
