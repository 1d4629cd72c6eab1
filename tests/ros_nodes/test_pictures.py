import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("rclpy")

from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from ros_nodes.named_values import Unusable
from ros_nodes.pictures import ENCODINGS, picture_of, picture_of_compressed

SHAPE = (64, 64, 3)
COLOURS = np.array([[[200, 40, 60], [30, 180, 50]], [[50, 70, 190], [120, 120, 120]]], np.uint8)
"""Of the four quarters of the scene."""


def scene(height=480, width=640):
    """uint8 `[height, width, 3]`: quarters in the middle square, black on either side of it."""
    side = min(height, width)
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    quarters = COLOURS.repeat(side // 2, 0).repeat(side // 2, 1)
    picture[top : top + quarters.shape[0], left : left + quarters.shape[1]] = quarters
    return picture


def yuv(picture):
    red, green, blue = np.moveaxis(picture.astype(float), -1, 0)
    y = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    return (plane.round().astype(np.uint8) for plane in (y, u, v))


def encode(picture, encoding, big_endian):
    """Rows of bytes as a camera would send them."""
    height, width, _ = picture.shape
    if encoding.startswith("bayer"):
        pattern = encoding[6:10]
        sensor = np.zeros((height, width), np.uint8)
        for place in range(4):
            channel = "rgb".index(pattern[place])
            sensor[place // 2 :: 2, place % 2 :: 2] = picture[place // 2 :: 2, place % 2 :: 2, channel]
        pixels = sensor[..., None]
    elif encoding in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv"):
        y, u, v = yuv(picture)
        pairs = (u[:, ::2], y[:, ::2], v[:, ::2], y[:, 1::2])
        if encoding.startswith("yuy") or encoding == "yuv422_yuy2":
            pairs = (y[:, ::2], u[:, ::2], y[:, 1::2], v[:, ::2])
        return np.stack(pairs, -1).reshape(height, 2 * width)
    elif encoding in ("nv12", "nv21"):
        y, u, v = yuv(picture)
        colours = (u[::2, ::2], v[::2, ::2]) if encoding == "nv12" else (v[::2, ::2], u[::2, ::2])
        return np.concatenate([y, np.stack(colours, -1).reshape(height // 2, width)])
    elif encoding.startswith("mono") or encoding == "8UC1":
        pixels = picture[..., 1:2]
    else:
        pixels = picture if encoding.startswith("rgb") else picture[..., ::-1]
        if encoding.endswith("a8") or encoding.endswith("a16") or encoding == "8UC4":
            pixels = np.concatenate([pixels, np.full((height, width, 1), 7, np.uint8)], -1)
    if encoding.endswith("16"):
        pixels = (pixels.astype(np.uint16) << 8 | 0x55).astype(">u2" if big_endian else "<u2")
    return np.ascontiguousarray(pixels).reshape(height, -1).view(np.uint8)


def message_of(picture, kind, padding=0, big_endian=False, **changes):
    rows = encode(picture, kind, big_endian)
    step = rows.shape[1] + padding
    padded = np.full((rows.shape[0], step), 255, np.uint8)
    padded[:, : rows.shape[1]] = rows
    height, width, _ = picture.shape
    fields = {"height": height, "width": width, "encoding": kind, "step": step, "is_bigendian": int(big_endian)}
    return ImageMessage(**fields | {"data": padded.tobytes()} | changes)


def compressed(picture, kind="JPEG", **options):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return CompressedImage(format=f"bgr8; {kind.lower()} compressed bgr8", data=file.getvalue())


def quarters(picture):
    """Mean colours of the four quarters, away from their edges."""
    return np.array([[picture[r + 4 : r + 28, c + 4 : c + 28].mean((0, 1)) for c in (0, 32)] for r in (0, 32)])


GREY_KINDS = ("mono8", "mono16", "8UC1")


@pytest.mark.parametrize("size", [(480, 640), (64, 64), (720, 360), (32, 48)])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_shows_the_middle_of_the_scene_in_its_colours(encoding, size):
    for padding, big_endian in ((0, False), (24, True)):
        picture = picture_of(message_of(scene(*size), encoding, padding, big_endian), SHAPE)
        assert (picture.shape, picture.dtype) == (SHAPE, np.uint8)
        expected = COLOURS[..., 1:2].repeat(3, -1) if encoding in GREY_KINDS else COLOURS
        np.testing.assert_allclose(quarters(picture), expected, atol=3.0)


def test_a_picture_of_the_wanted_size_and_encoding_arrives_to_the_bit():
    picture = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    np.testing.assert_array_equal(picture_of(message_of(picture, "rgb8"), SHAPE), picture)
    np.testing.assert_array_equal(picture_of(message_of(picture, "bgra8", padding=3), SHAPE), picture)
    np.testing.assert_array_equal(picture_of_compressed(compressed(picture, "PNG"), SHAPE), picture)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_compressed_pictures_are_taken(kind):
    picture = picture_of_compressed(compressed(scene(), kind), SHAPE)
    np.testing.assert_allclose(quarters(picture), COLOURS, atol=6.0)
    grey = picture_of_compressed(compressed(scene()[..., 1], kind), SHAPE)
    np.testing.assert_allclose(quarters(grey), COLOURS[..., 1:2].repeat(3, -1), atol=6.0)


def test_a_png_of_16_bits_is_taken_for_a_grey_picture():
    sixteen = scene()[..., 1].astype(np.uint16) << 8
    picture = picture_of_compressed(compressed(sixteen, "PNG"), SHAPE)
    np.testing.assert_allclose(quarters(picture), COLOURS[..., 1:2].repeat(3, -1), atol=3.0)


def bomb():
    """A PNG of a kilobyte that claims 65,000 by 65,000 pixels."""

    def chunk(name, content):
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    header = (65_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(500_000))) + chunk(b"IEND", b"")
    return CompressedImage(format="png", data=b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize(
    "message, complaint",
    [
        (message_of(scene(), "rgb8", data=b"123"), "wrong data length: 3 bytes for 480 rows of 1920"),
        (message_of(scene(), "rgb8", step=100), "row step too short"),
        (message_of(scene(), "rgb8", width=0), "impossible size: 0x480"),
        (message_of(scene(), "rgb8", width=4_000_000_000, height=4_000_000_000), "impossible size"),
        (message_of(scene(), "mono8", encoding="jpeg\x1b[2J"), r"unknown encoding: 'jpeg\?\[2J'; known are rgb8"),
        (message_of(scene(), "mono16", encoding="16UC1"), "depth image is no picture"),
        (message_of(scene(480, 642), "yuyv", width=641), "odd width"),
        (message_of(scene(), "nv12", height=481), "odd size"),
        (message_of(scene(2, 2), "bayer_rggb8", height=1, width=2, step=2, data=b"12"), "impossible size"),
        (ImageMessage(), "impossible size"),
    ],
)
def test_pictures_that_cannot_be_read_are_refused_by_name(message, complaint):
    with pytest.raises(Unusable, match=complaint):
        picture_of(message, SHAPE)


@pytest.mark.parametrize(
    "message, complaint",
    [
        (CompressedImage(format="jpeg", data=compressed(scene()).data[:-3000]), "truncated"),
        (CompressedImage(format="jpeg"), "no JPEG or PNG"),
        (CompressedImage(format="h264", data=b"\0\0\0\1\x67" * 100), "h264"),
        (compressed(scene(), "GIF"), "no JPEG or PNG"),
        (bomb(), "impossible size"),
    ],
)
def test_compressed_pictures_that_cannot_be_read_are_refused_by_name(message, complaint):
    with pytest.raises(Unusable, match=complaint):
        picture_of_compressed(message, SHAPE)


@settings(max_examples=200, deadline=None)
@given(
    encoding=st.sampled_from([*ENCODINGS, "", "rgb", "32FC1"]),
    height=st.integers(0, 12),
    width=st.integers(0, 12),
    step=st.integers(0, 60),
    size=st.integers(0, 600),
    big_endian=st.integers(0, 255),
)
def test_whatever_a_message_claims_it_is_a_picture_or_refused(encoding, height, width, step, size, big_endian):
    fields = {"height": height, "width": width, "encoding": encoding, "step": step, "is_bigendian": big_endian}
    try:
        picture = picture_of(ImageMessage(**fields, data=bytes(size)), SHAPE)
    except Unusable:
        return
    assert (picture.shape, picture.dtype) == (SHAPE, np.uint8)


@settings(max_examples=200, deadline=None)
@given(where=st.floats(0, 1), change=st.binary(min_size=1, max_size=20), kind=st.sampled_from(["JPEG", "PNG"]))
def test_whatever_is_wrong_in_a_file_it_is_a_picture_or_refused(where, change, kind):
    data = bytearray(compressed(scene(60, 80), kind).data)
    begin = int(where * len(data))
    data[begin : begin + len(change)] = change
    try:
        picture = picture_of_compressed(CompressedImage(data=bytes(data)), SHAPE)
    except Unusable:
        return
    assert picture.shape == SHAPE
