"""A sheet of an episode's pictures, each with its number, and what an operator answers to it."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from daydreamer.contract.pictures import scaled

PICTURES = 24
"""On a sheet."""
COLUMNS, SIDE_PX, GAP_PX, CAPTION_PX = 6, 192, 6, 24

_ITEM = re.compile(r"(\??)(\d{1,4})(?:-(\d{1,4}))?", re.ASCII)


def draw_sheet(pictures: Sequence[np.ndarray], seconds: Sequence[float]) -> bytes:
    """A PNG of pictures `[height, width, channels]`, numbered from 1, and when in the episode each was taken."""
    rows = -(-len(pictures) // COLUMNS)
    across, down = SIDE_PX + GAP_PX, SIDE_PX + GAP_PX + CAPTION_PX
    sheet = Image.new("RGB", (COLUMNS * across + GAP_PX, rows * down + GAP_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for index, (picture, second) in enumerate(zip(pictures, seconds, strict=True)):
        left, top = GAP_PX + index % COLUMNS * across, GAP_PX + index // COLUMNS * down
        draw.text((left, top), f"{index + 1}", fill="black", font=font)
        draw.text((left + SIDE_PX, top), f"{second:.1f} s", fill="#777777", font=font, anchor="ra")
        seen = picture[..., : 3 if picture.shape[-1] >= 3 else 1]
        tile = scaled(seen, (SIDE_PX, SIDE_PX))
        sheet.paste(Image.fromarray(np.broadcast_to(tile, (SIDE_PX, SIDE_PX, 3))), (left, top + CAPTION_PX))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


@dataclasses.dataclass(frozen=True)
class Answer:
    """What an operator says of the pictures on a sheet, by their indices from 0.

    Attributes:
      successes: that show the task done.
      unclear: of which that cannot be said; all others show it not done.
    """

    successes: frozenset[int]
    unclear: frozenset[int]


def parse_answer(text: str, pictures: int) -> Answer:
    """An answer as '18-24 ?16 ?17': numbers and ranges of successes, with a question mark of what is unclear; 'none'.

    Raises:
      ValueError: it is none; says why.
    """
    found: dict[str, set[int]] = {"": set(), "?": set()}
    items = text.lower().replace(",", " ").split()
    if not items:
        raise ValueError("nothing was said")
    if items in (["n"], ["none"]):
        return Answer(frozenset(), frozenset())
    for item in items:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"'{item}' is no number and no range")
        low, high = int(match[2]), int(match[3] or match[2])
        if not 1 <= low <= high <= pictures:
            raise ValueError(f"'{item}' is not among 1 to {pictures}")
        found[match[1]] |= set(range(low - 1, high))
    if both := found[""] & found["?"]:
        raise ValueError(f"{min(both) + 1} cannot be a success and unclear")
    return Answer(frozenset(found[""]), frozenset(found["?"]))
