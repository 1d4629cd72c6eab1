"""Pictures out of a camera's messages, whatever their size and encoding: cropped and scaled to what a policy sees.

They are scaled as all pictures are, see `daydreamer.contract.pictures`; most encodings before their colours are worked
out: averaging 300,000 pixels is cheap, converting them is not.

Functions take messages as they are received, import no ROS, and raise `Unusable` for what is not a picture.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from daydreamer.contract.pictures import LARGEST_PIXELS, scaled
from daydreamer.texts import printable_line
from ros_nodes.named_values import Unusable

LARGEST_FILE_BYTES = 64_000_000

_RED_GREEN_BLUE, _BLUE_GREEN_RED, _GREY = (0, 1, 2), (2, 1, 0), (0, 0, 0)
_PACKED: dict[str, tuple[Sequence[int], int, int]] = {
    # Where red, green and blue are, channels, bytes of each channel.
    "rgb8": (_RED_GREEN_BLUE, 3, 1),
    "rgba8": (_RED_GREEN_BLUE, 4, 1),
    "rgb16": (_RED_GREEN_BLUE, 3, 2),
    "rgba16": (_RED_GREEN_BLUE, 4, 2),
    "bgr8": (_BLUE_GREEN_RED, 3, 1),
    "bgra8": (_BLUE_GREEN_RED, 4, 1),
    "bgr16": (_BLUE_GREEN_RED, 3, 2),
    "bgra16": (_BLUE_GREEN_RED, 4, 2),
    "mono8": (_GREY, 1, 1),
    "mono16": (_GREY, 1, 2),
    # OpenCV's types say nothing of colours; its users mean these.
    "8UC1": (_GREY, 1, 1),
    "8UC3": (_BLUE_GREEN_RED, 3, 1),
    "8UC4": (_BLUE_GREEN_RED, 4, 1),
}
_YUV_422 = {"yuv422": "UYVY", "uyvy": "UYVY", "yuv422_yuy2": "YUYV", "yuyv": "YUYV"}
_YUV_420 = {"nv12": "UV", "nv21": "VU"}
_BAYER = {
    f"bayer_{pattern}{bits}": (pattern, bits // 8) for pattern in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)
}
ENCODINGS = (*_PACKED, *_YUV_422, *_YUV_420, *_BAYER)
"""Of sensor_msgs/Image, those that are taken."""

_DEPTH = ("16UC1", "32FC1", "16SC1", "64FC1")

_RGB_OF_YUV = np.array([[1.164, 0.0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0.0]])
"""ITU-R BT.601 with 16 to 235 for black to white, as OpenCV reads these encodings."""


def picture_of(message, shape: tuple[int, ...]) -> np.ndarray:
    """What a sensor_msgs/Image shows, uint8 `shape` = (height, width, 3), RGB.

    A picture of that size and encoding rgb8 arrives as it was sent, to the bit.

    Raises:
      Unusable: an encoding that is not known, or a size and length that do not fit it.
    """
    encoding = message.encoding
    _check_size(message.width, message.height)
    if encoding in _PACKED:
        places, channels, size = _PACKED[encoding]
        pixels = _eight_bits(_rows(message, channels * size), size, message.is_bigendian, channels)
        return np.ascontiguousarray(scaled(pixels, shape)[..., places])
    if encoding in _YUV_422:
        return _of_yuv(_planes_422(message, _YUV_422[encoding]), shape)
    if encoding in _YUV_420:
        return _of_yuv(_planes_420(message, _YUV_420[encoding]), shape)
    if encoding in _BAYER:
        return _scaled_planes(_planes_bayer(message, *_BAYER[encoding]), shape)
    if encoding in _DEPTH:
        raise Unusable("a depth image is no picture", f"{encoding}; remap to the camera's colour topic")
    raise Unusable("unknown encoding", f"'{printable_line(encoding)}'; known are {', '.join(ENCODINGS)}")


def picture_of_compressed(message, shape: tuple[int, ...]) -> np.ndarray:
    """What a sensor_msgs/CompressedImage shows, a JPEG or PNG, uint8 `shape`, RGB.

    Raises:
      Unusable: another format, a file that is cut off or damaged, or one of absurd size.
    """
    data = bytes(message.data)
    if len(data) > LARGEST_FILE_BYTES:
        raise Unusable("too large a file", f"{len(data)} bytes")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            _check_size(*image.size)
            # A JPEG can be decoded at an eighth of its size, which takes an eighth of the time.
            image.draft("RGB", (2 * shape[1], 2 * shape[0]))
            if image.mode.startswith("I"):
                pixels = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
            else:
                pixels = np.asarray(image.convert("RGB"))
    except Unusable:
        raise
    except Image.DecompressionBombError as error:
        raise Unusable("impossible size", printable_line(str(error), 120)) from error
    except Exception as error:
        # A damaged file may make a decoder raise anything.
        what = printable_line(f"{type(error).__name__}: {error}", 120)
        kind = printable_line(message.format) or "no format"
        raise Unusable("no JPEG or PNG that can be read", f"{len(data)} bytes, {kind}: {what}") from error
    return np.ascontiguousarray(scaled(pixels, shape)[..., _GREY if pixels.ndim == 2 else _RED_GREEN_BLUE])


def _check_size(width: int, height: int) -> None:
    if not (width > 0 and height > 0 and width * height <= LARGEST_PIXELS):
        raise Unusable("impossible size", f"{width}x{height}; 1 to {LARGEST_PIXELS:,} pixels are taken")


def _rows(message, pixel_bytes: int, rows: int | None = None) -> np.ndarray:
    """uint8 `[rows, bytes]` without the padding at the end of each row.

    Raises:
      Unusable: the message's row step or length is wrong.
    """
    rows = message.height if rows is None else rows
    width_bytes = message.width * pixel_bytes
    step = message.step or width_bytes  # which some drivers leave out
    if step < width_bytes:
        raise Unusable("row step too short", f"{step} bytes for {message.width} pixels {message.encoding}")
    if len(message.data) != step * rows:
        raise Unusable("wrong data length", f"{len(message.data)} bytes for {rows} rows of {step}")
    return np.frombuffer(message.data, np.uint8).reshape(rows, step)[:, :width_bytes]


def _eight_bits(rows: np.ndarray, size: int, big_endian: bool, channels: int) -> np.ndarray:
    """`[height, width, channels]`, the high byte of each number."""
    height, width_bytes = rows.shape
    pixels = rows.reshape(height, width_bytes // (channels * size), channels, size)
    return pixels[..., 0 if big_endian else size - 1]


def _scaled_planes(planes: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Planes of any resolution that show the same, whose first has square pixels; `[height, width, planes]`."""
    height, width = planes[0].shape
    return np.stack([scaled(plane, shape, width / height)[..., 0] for plane in planes], -1)


def _planes_422(message, order: str) -> list[np.ndarray]:
    """Brightness and the two colour differences, of which two neighbours share one."""
    if message.width % 2:
        raise Unusable("odd width", f"{message.width} in {message.encoding}, where two pixels share their colour")
    rows = _rows(message, 2)
    pairs = rows.reshape(message.height, message.width // 2, 4)
    brightness = rows[:, order.index("Y") :: 2]
    return [brightness, pairs[..., order.index("U")], pairs[..., order.index("V")]]


def _planes_420(message, order: str) -> list[np.ndarray]:
    """Likewise; four neighbours share one colour, and the colours come after all of the brightness."""
    if message.width % 2 or message.height % 2:
        raise Unusable("odd size", f"{message.width}x{message.height} in {message.encoding}")
    rows = _rows(message, 1, message.height * 3 // 2)
    colours = rows[message.height :].reshape(message.height // 2, message.width // 2, 2)
    return [rows[: message.height], colours[..., order.index("U")], colours[..., order.index("V")]]


def _of_yuv(planes: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    yuv = _scaled_planes(planes, shape) - (16.0, 128.0, 128.0)
    return np.rint(yuv @ _RGB_OF_YUV.T).clip(0, 255).astype(np.uint8)


def _planes_bayer(message, pattern: str, size: int) -> list[np.ndarray]:
    """Red, green and blue, each at half of the sensor's resolution, as every colour has its own pixels."""
    sensor = _eight_bits(_rows(message, size), size, message.is_bigendian, 1)[..., 0]
    height, width = message.height // 2 * 2, message.width // 2 * 2
    if not (height and width):
        raise Unusable("impossible size", f"{message.width}x{message.height} in {message.encoding}")
    quarters = {place: sensor[place // 2 : height : 2, place % 2 : width : 2] for place in range(4)}
    first, second = (place for place in range(4) if pattern[place] == "g")
    green = ((quarters[first].astype(np.uint16) + quarters[second]) >> 1).astype(np.uint8)
    return [quarters[pattern.index("r")], green, quarters[pattern.index("b")]]
