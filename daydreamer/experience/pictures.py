"""Pictures as a log may hold them: compressed, each a PNG or JPEG of its own, as any viewer opens it."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from PIL import Image

from daydreamer.config import PictureFormat
from daydreamer.errors import UserError
from daydreamer.spec import RobotSpec, Space

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Before the scan: APP0, that of JFIF; quantisation and Huffman tables; the head of a baseline picture.
_JPEG_SEGMENTS = (b"\xff\xe0", b"\xff\xdb", b"\xff\xc4", b"\xff\xc0")
_JPEG_SCAN = b"\xff\xda"


@dataclasses.dataclass(frozen=True)
class PictureStorage:
    """How pictures are to be stored.

    Attributes:
      format: 'raw' within the steps; otherwise compressed, in a file beside them.
      jpeg_quality: 1 to 100.
    """

    format: PictureFormat = "raw"
    jpeg_quality: int = 95

    def compresses(self, spec: RobotSpec) -> bool:
        """Whether anything of this robot's is to be compressed."""
        return self.format != "raw" and bool(picture_spaces(spec))

    def encode(self, picture: np.ndarray) -> bytes:
        """The file that holds a picture, uint8 `[height, width, channels]`; as good as `jpeg_quality`, or the same."""
        height, width, channels = picture.shape
        # Three channels are colours; of any other number, each is a grey picture below the one before.
        pixels = picture if channels == 3 else picture.transpose(2, 0, 1).reshape(channels * height, width)
        file, image = io.BytesIO(), Image.fromarray(np.ascontiguousarray(pixels))
        if self.format == "png":
            image.save(file, "PNG")
        else:
            # Colours at full resolution: a small thing is told by its colour.
            image.save(file, "JPEG", quality=self.jpeg_quality, subsampling=0)
        return file.getvalue()

    def require_storable(self, spec: RobotSpec) -> None:
        """Encodes a picture of each kind, which also loads what that takes.

        Raises:
          UserError: there are pictures that this format does not hold.
        """
        for key, space in picture_spaces(spec).items():
            try:
                self.encode(space.zeros())
            except (OSError, ValueError) as error:
                raise UserError(
                    f"Pictures of '{key}', {list(space.shape)}, cannot be stored as {self.format} ({error}); choose "
                    "another actor.picture_format."
                ) from error


def picture_spaces(spec: RobotSpec) -> dict[str, Space]:
    """What of an observation is a picture, by key."""
    return {key: space for key, space in spec.observation.items() if space.is_image}


def largest_file(space: Space) -> int:
    """Bytes that no compressed picture exceeds: a JPEG of noise may be larger than its pixels."""
    return 4 * space.size + (1 << 16)


def decode(content: bytes, space: Space, format: PictureFormat) -> np.ndarray:
    """What `PictureStorage.encode` was given, or nearly so, uint8 `space.shape`.

    A stranger may have made the file. Nothing is decompressed but pixels, and these not before its head has been found
    to be that of a picture of this size.

    Raises:
      ValueError: it is nothing that `encode` makes of such a picture.
    """
    if format == "png" and not _holds_pixels_only(content):
        raise ValueError("it is no PNG that holds pixels and nothing else")
    if format == "jpeg" and not _is_drawn_once(content):
        raise ValueError("it is no JPEG that is drawn in one pass")
    height, width, channels = space.shape
    rows, mode = (height, "RGB") if channels == 3 else (channels * height, "L")
    try:
        with Image.open(io.BytesIO(content), formats=(format.upper(),)) as image:
            if (image.mode, image.size) != (mode, (width, rows)):
                raise ValueError(f"it is {image.mode} of {image.width}x{image.height}, not {mode} of {width}x{rows}")
            pixels = np.asarray(image)
    except Exception as error:
        # A damaged file may make a decoder raise anything.
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return pixels if channels == 3 else pixels.reshape(channels, height, width).transpose(1, 2, 0)


def _holds_pixels_only(png: bytes) -> bool:
    """Whether the chunks of a PNG are those that `encode` writes: texts and profiles would be decompressed as well."""
    names, position = [], len(_PNG_SIGNATURE)
    while len(head := png[position : position + 8]) == 8:
        names.append(head[4:])
        position += 12 + int.from_bytes(head[:4], "big")
    first, pixels, last = names[:2], set(names[2:-1]), names[-1:]
    whole = first == [b"IHDR", b"IDAT"] and pixels <= {b"IDAT"} and last == [b"IEND"]
    return whole and png.startswith(_PNG_SIGNATURE)


def _is_drawn_once(jpeg: bytes) -> bool:
    """Whether the segments of a JPEG are those that `encode` writes, then one scan.

    Each scan may take as long as a picture, and thousands go into a file. Marks of scans are looked for behind the
    head only: a large picture's size may look like one, but no pixels do, as a zero is put behind each 0xFF of theirs.
    """
    position = 2
    while jpeg[position : position + 2] in _JPEG_SEGMENTS:
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    scan, rest = jpeg[position : position + 2], jpeg[position + 2 :]
    return jpeg.startswith(b"\xff\xd8") and scan == _JPEG_SCAN and _JPEG_SCAN not in rest


def pixel_bytes(spec: RobotSpec) -> int:
    """The bytes that all pictures of a step take."""
    return sum(space.size for space in picture_spaces(spec).values())
