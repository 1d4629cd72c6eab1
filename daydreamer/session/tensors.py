"""What snapshots and dreams have in common: arrays and metadata in one safetensors file."""

from __future__ import annotations

import json
import struct

import numpy as np
import safetensors
import safetensors.numpy


def decode_tensors(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays by name and metadata of a file's whole content; `safetensors.numpy.load` keeps the metadata to itself.

    Raises:
      ValueError: it is not a safetensors file with metadata, or not all of one.
    """
    try:
        tensors = safetensors.numpy.load(content)
        (header_size,) = struct.unpack_from("<Q", content)
        return tensors, dict(json.loads(content[8 : 8 + header_size])["__metadata__"])
    except (safetensors.SafetensorError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise ValueError(repr(error)) from error
