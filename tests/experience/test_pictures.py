"""Pictures that are stored compressed: what is read is what was seen, and nothing that is damaged."""

import io
import os
import struct
import zlib

import msgspec
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.reader import read_ros2_messages
from PIL import Image

from daydreamer.errors import UserError
from daydreamer.experience.closing import TornBytes, close_killed, is_complete
from daydreamer.experience.header import read_header
from daydreamer.experience.log import ExperienceWriter, list_logs, log_path
from daydreamer.experience.picture_file import MESSAGE_HEAD, pictures_path
from daydreamer.experience.pictures import PictureStorage, decode
from daydreamer.experience.rolling import RollingExperienceWriter
from daydreamer.experience.schema import reference_names, step_schema
from daydreamer.experience.tail import ExperienceTail, LogTail, last_sequence
from daydreamer.spec import Space

STEPS = 5
PNG = PictureStorage("png")
FRAME_BYTES = 31


class Log:
    """Content of both files of a log, and where what is in them."""

    def __init__(self, directory, spec, make_step, close):
        writer = ExperienceWriter(directory, spec, 1, 60.0, pictures=PNG)
        for sequence in range(STEPS):
            writer.append(make_step(sequence))
        unclosed = writer.path.read_bytes(), pictures_path(writer.path).read_bytes()
        writer.close()
        self.rows, self.pictures = unclosed
        if close:
            self.rows, self.pictures = writer.path.read_bytes(), pictures_path(writer.path).read_bytes()
        self.start = read_header(writer.path).size
        self.size = (len(unclosed[0]) - self.start) // STEPS
        self.fields = step_schema(spec, refers=True).payload_dtype.fields

    def begin_of(self, sequence):
        return self.start + sequence * self.size

    def reference_bytes(self, sequence):
        """Positions in the log."""
        for name in reference_names("image"):
            field, offset = self.fields[name]
            begin = self.begin_of(sequence) + FRAME_BYTES + offset
            yield from range(begin, begin + field.itemsize)

    def picture(self, sequence):
        """Begin and end of a picture in the other file."""
        offset, length, _ = (
            int.from_bytes(self.rows[at : at + self.fields[name][0].itemsize], "little")
            for name in reference_names("image")
            for at in [self.begin_of(sequence) + FRAME_BYTES + self.fields[name][1]]
        )
        return offset, offset + length

    def write(self, directory, rows=None, pictures=None):
        path = log_path(directory, 1)
        path.write_bytes(self.rows if rows is None else rows)
        pictures_path(path).write_bytes(self.pictures if pictures is None else pictures)
        return path


@pytest.fixture(scope="module")
def log(spec, make_step, tmp_path_factory):
    return Log(tmp_path_factory.mktemp("log"), spec, make_step, close=False)


@pytest.fixture(scope="module")
def closed_log(spec, make_step, tmp_path_factory):
    return Log(tmp_path_factory.mktemp("closed_log"), spec, make_step, close=True)


def read_everything(tail):
    steps = []
    while batch := tail.read():
        steps += batch
    return steps


def flipped(content, position):
    damaged = bytearray(content)
    damaged[position] ^= 1 << position % 8
    return bytes(damaged)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_was_seen_is_read_and_viewers_show_it(spec, make_step, same, tmp_path, channels):
    """PNG is equal to the bit, JPEG nearly so; several cameras, of any number of channels."""
    depth = Space((9, 7, channels), "uint8")
    spec = msgspec.structs.replace(spec, observation=spec.observation | {"other_camera": depth})
    ramp = np.linspace(0, 255, depth.size).astype(np.uint8).reshape(depth.shape)
    written = [make_step(sequence) for sequence in range(3)]
    for step in written:
        step.observation["other_camera"] = ramp + np.uint8(step.sequence)
        step.observation["image"] //= 8  # what is noise no JPEG keeps
    for name, error in (("png", 0), ("jpeg", 24)):
        directory = tmp_path / name
        with ExperienceWriter(directory, spec, 1, 60.0, pictures=PictureStorage(name)) as writer:
            for step in written:
                writer.append(step)
        tail = LogTail(writer.path, spec)
        read = tail.read()
        assert tail.read() == [] and tail.closed and len(read) == len(written)
        for step, before in zip(read, written, strict=True):
            for key in ("image", "other_camera"):
                found, expected = step.observation[key], before.observation[key]
                assert found.dtype == np.uint8 and found.shape == expected.shape
                assert np.abs(found.astype(int) - expected).max() <= error
                step.observation[key] = expected
        assert same(read, written)
        shown = list(read_ros2_messages(pictures_path(writer.path)))
        assert [message.channel.topic for message in shown[:2]] == [
            "/daydreamer/pictures/image",
            "/daydreamer/pictures/other_camera",
        ]
        for message, step in zip(shown[::2], written, strict=True):
            assert message.log_time_ns == step.wall_ns and message.sequence_count == step.sequence
            picture = Image.open(io.BytesIO(message.ros_msg.data))
            assert picture.format == name.upper() and message.ros_msg.format == name
        with open(pictures_path(writer.path), "rb") as file:
            statistics = make_reader(file, validate_crcs=True).get_summary().statistics
        assert statistics.message_count == 2 * len(written) == len(shown)
        assert list(list_logs(directory)) == [1]


def test_pictures_as_they_are_take_no_second_file(spec, make_step, tmp_path):
    blind = msgspec.structs.replace(spec, observation={"vector": Space((5,))})
    for number, (robot, storage) in enumerate(((spec, PictureStorage()), (blind, PNG))):
        directory = tmp_path / str(number)
        ExperienceWriter(directory, robot, 1, 60.0, pictures=storage).close()
        assert [path.name for path in directory.iterdir()] == ["actor-0001.mcap"]
        metadata = next(iter(make_reader(open(log_path(directory, 1), "rb")).iter_metadata())).metadata
        assert metadata["format_version"] == "1" and "picture_format" not in metadata


def test_a_picture_that_the_format_does_not_hold_is_refused_before_anything_is_made(spec, tmp_path):
    long = msgspec.structs.replace(spec, observation={"scan": Space((70_000, 1, 1), "uint8")})
    with pytest.raises(UserError, match=r"'scan', \[70000, 1, 1\].*jpeg.*actor.picture_format"):
        ExperienceWriter(tmp_path / "log", long, 1, 60.0, pictures=PictureStorage("jpeg"))
    assert not (tmp_path / "log").exists()


def test_cut_off_anywhere_what_is_whole_is_read(log, spec, make_step, same, tmp_path):
    """Both files, at every byte of their last two steps."""
    written = [make_step(sequence) for sequence in range(STEPS)]
    for length in range(log.begin_of(STEPS - 2), log.begin_of(STEPS)):
        path = log.write(tmp_path, rows=log.rows[:length])
        tail = ExperienceTail(tmp_path, spec)
        whole = (length - log.start) // log.size
        assert same(read_everything(tail), written[:whole]) and last_sequence(path) == whole - 1, length
        assert tail.problems == []
    ends = [log.picture(sequence)[1] for sequence in range(STEPS)]
    for length in range(ends[-3], ends[-1]):
        log.write(tmp_path, pictures=log.pictures[:length])
        tail = ExperienceTail(tmp_path, spec)
        whole = sum(end <= length for end in ends)
        assert same(read_everything(tail), written[:whole]), length
        (problem,) = tail.problems
        assert f"byte {log.begin_of(whole)}: its picture 'image' in actor-0001.pictures.mcap would end" in problem.text
        assert tail.read() == [] and tail.problems == [problem]


@pytest.mark.parametrize("sequence", [1, STEPS - 1])
def test_any_flipped_byte_costs_that_step_alone(log, closed_log, spec, make_step, same, tmp_path, sequence):
    log = closed_log if sequence == 1 else log
    rest = [make_step(number) for number in range(STEPS) if number != sequence]
    flips = [(log.rows, position) for position in log.reference_bytes(sequence)]
    flips += [(log.pictures, position) for position in range(*log.picture(sequence))]
    for content, position in flips:
        damaged = flipped(content, position)
        log.write(tmp_path, **{"rows" if content is log.rows else "pictures": damaged})
        tail = ExperienceTail(tmp_path, spec)
        assert same(read_everything(tail), rest), position
        assert [problem.kind for problem in tail.problems] == (["damage", "gap"] if sequence == 1 else ["damage"])
        reason = "its checksum does not fit" if content is log.rows else "its picture 'image' in"
        assert f"byte {log.begin_of(sequence)}: {reason}" in tail.problems[0].text


@pytest.mark.parametrize("which", ["log", "closed_log"])
def test_without_its_pictures_a_log_is_named_once_and_other_lives_are_read(
    which, request, spec, make_step, same, tmp_path
):
    path = request.getfixturevalue(which).write(tmp_path)
    pictures_path(path).unlink()
    with ExperienceWriter(tmp_path, spec, 2, 60.0, pictures=PictureStorage("jpeg")) as jpeg:
        jpeg.append(make_step(0, 2))
    with ExperienceWriter(tmp_path, spec, 3, 60.0) as raw:
        raw.append(make_step(0, 3))
    tail = ExperienceTail(tmp_path, spec)
    steps = read_everything(tail)
    assert [(step.actor_life, step.sequence) for step in steps] == [(2, 0), (3, 0)]
    assert same(steps[1:], [make_step(0, 3)])  # each life in its own format
    (problem,) = tail.problems
    assert problem.actor_life == 1 and "is gone with the file" in problem.text
    assert last_sequence(path) == STEPS - 1


def test_a_link_in_place_of_pictures_is_not_followed(log, spec, tmp_path):
    outside = log.write(tmp_path / "..")
    path = log.write(tmp_path)
    pictures_path(path).unlink()
    pictures_path(path).symlink_to(pictures_path(outside))
    with pytest.raises(UserError, match=r"pictures\.mcap cannot be read \(.*a link, which is not followed\)"):
        ExperienceTail(tmp_path, spec).read()


def test_a_killed_log_and_its_pictures_are_closed(spec, make_step, tmp_path):
    log = Log(tmp_path / "whole", spec, make_step, close=False)
    (tmp_path / "killed").mkdir()
    torn = log.pictures[log.picture(STEPS - 1)[1] - 100 :]
    path = log.write(tmp_path / "killed", pictures=log.pictures + torn[:60])
    assert not is_complete(path)
    RollingExperienceWriter(tmp_path / "killed", spec, 2, 60.0, 1 << 28, pictures=PNG).close()
    assert is_complete(path)
    assert path.read_bytes() == log_path(tmp_path / "whole", 1).read_bytes()
    assert pictures_path(path).read_bytes() == pictures_path(log_path(tmp_path / "whole", 1)).read_bytes()
    before = pictures_path(path).read_bytes()
    assert close_killed(path) == TornBytes()
    assert pictures_path(path).read_bytes() == before  # once more does no harm
    # A damaged length in the middle is nothing that a kill explains, and nothing that follows is cut off.
    begin, _ = log.picture(1)
    for position in range(log.picture(0)[1], begin):
        damaged = flipped(log.pictures, position)
        path = log.write(tmp_path / "killed", pictures=damaged)
        try:
            close_killed(path)
        except UserError as error:
            assert "cannot be closed" in str(error)
            assert path.read_bytes() == log.rows  # the log neither
        assert pictures_path(path).read_bytes().startswith(damaged)
        assert len(LogTail(path, spec).read()) == STEPS


def test_of_a_log_and_its_pictures_only_what_lacks_its_end_is_closed(log, closed_log, tmp_path):
    for rows, pictures, torn in (
        (closed_log.rows, log.pictures + log.pictures[-60:], TornBytes(pictures=60)),
        (log.rows + log.rows[-log.size : -9], closed_log.pictures, TornBytes(log.size - 9)),
    ):
        path = log.write(tmp_path, rows, pictures)
        assert not is_complete(path) and close_killed(path) == torn and is_complete(path)
        assert path.read_bytes() == closed_log.rows
        assert pictures_path(path).read_bytes() == closed_log.pictures


@pytest.mark.parametrize("lost", ["its end", "all behind one", "its beginning", "everything"])
@pytest.mark.parametrize("zeros", [True, False])
def test_pictures_that_a_power_loss_has_cost_are_cut_off(log, spec, make_step, same, tmp_path, lost, zeros):
    """The log lives; of pictures blocks were not on disk, whether the file's size was or not."""
    whole = {"its end": STEPS - 1, "all behind one": 1}.get(lost, 0)
    end = log.picture(whole - 1)[1] if whole else 0
    kept = {"its beginning": 20, "everything": 0}.get(lost, end + 5)
    path = log.write(tmp_path, pictures=log.pictures[:kept] + zeros * bytes(len(log.pictures) - kept))
    assert close_killed(path) == TornBytes(pictures=(len(log.pictures) if zeros else kept) - end)
    assert is_complete(path) and close_killed(path) == TornBytes()
    with open(pictures_path(path), "rb") as file:
        assert make_reader(file, validate_crcs=True).get_summary().statistics.message_count == whole
    assert same(read_everything(ExperienceTail(tmp_path, spec)), [make_step(number) for number in range(whole)])


def test_who_has_written_pictures_closes_them_without_reading_them(spec, make_step, tmp_path, monkeypatch):
    """Also when a step was refused behind its picture, to which nothing refers then."""
    odd = make_step(1)
    odd.action_requested = np.zeros(0, np.float32)
    with ExperienceWriter(tmp_path, spec, 1, 60.0, pictures=PNG) as writer:
        writer.append(make_step(0))
        with pytest.raises(ValueError, match="action_requested"):
            writer.append(odd)
        writer.append(make_step(1))
        unclosed = writer.path.read_bytes(), pictures_path(writer.path).read_bytes()
        monkeypatch.setattr(os, "pread", None)
    monkeypatch.undo()
    closed = writer.path.read_bytes(), pictures_path(writer.path).read_bytes()
    for path, content in zip((writer.path, pictures_path(writer.path)), unclosed, strict=True):
        path.write_bytes(content)
    assert close_killed(writer.path) == TornBytes()
    assert (writer.path.read_bytes(), pictures_path(writer.path).read_bytes()) == closed
    with open(pictures_path(writer.path), "rb") as file:
        assert make_reader(file, validate_crcs=True).get_summary().statistics.message_count == 3


@pytest.mark.parametrize("length", [0, MESSAGE_HEAD.size - 10])
def test_a_record_without_room_for_a_picture_s_head_is_none(log, closed_log, tmp_path, length):
    forged = MESSAGE_HEAD.pack(5, length, 1, 0, 0, 0)
    path = log.write(tmp_path, pictures=log.pictures + forged)
    assert close_killed(path) == TornBytes(pictures=len(forged))
    assert pictures_path(path).read_bytes() == closed_log.pictures


def test_pictures_whose_file_has_lost_its_beginning_are_left_alone(log, tmp_path):
    begin = log.picture(0)[0]
    for lost in (bytes(begin), bytes(range(1, 100)) + log.pictures[99:begin]):
        path = log.write(tmp_path, pictures=lost + log.pictures[begin:])
        with pytest.raises(UserError, match="cannot be closed"):
            close_killed(path)
        assert path.read_bytes() == log.rows and pictures_path(path).read_bytes() == lost + log.pictures[begin:]


def _chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width, height, pixels, before=b"", after=b""):
    """A PNG of which only the head is true, with chunks before and after its pixels."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = before + _chunk(b"IDAT", zlib.compress(pixels)) + after
    return b"\x89PNG\r\n\x1a\n" + head + pixels + _chunk(b"IEND", b"")


def _file(format, mode, size, **options):
    file = io.BytesIO()
    Image.new(mode, size).save(file, format, **options)
    return file.getvalue()


FORGED = {
    "bomb": _png(30_000, 30_000, bytes(10_000_000)),
    "bomb that the library takes": _png(9_000, 9_000, bytes(10_000_000)),
    "nothing behind a true head": _png(4, 4, b""),
    "bomb in a text": _file("PNG", "RGB", (4, 4))[:-12] + _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10_000_000))),
    "another size": _file("PNG", "RGB", (4, 5)),
    "grey": _file("PNG", "L", (4, 4)),
    "another format": _file("GIF", "P", (4, 4)),
    "JPEG in a log of PNG": _file("JPEG", "RGB", (4, 4)),
    "text": b"no picture",
    "empty": b"",
}
REFERENCES = {
    "far outside": (2**64 - 1, 100, 0),
    "wraps around": (2**64 - 50, 100, 0),
    "all that there may be": (0, 2**32 - 1, 0),
    "the file's head": (0, 20, 0),
}


@pytest.mark.parametrize("name", [*FORGED, *REFERENCES])
def test_whatever_a_stranger_s_log_refers_to_only_that_step_is_passed_over(spec, make_step, same, tmp_path, name):
    """Rows and checksums fit; what they name does not."""
    writer = ExperienceWriter(tmp_path, spec, 1, 60.0, pictures=PNG)
    honest = writer._pictures.append

    def forge(step):
        if step.sequence % 2 == 0:
            return honest(step)
        if name in REFERENCES:
            return REFERENCES[name]
        begin = writer._pictures.stream.tell()
        writer._pictures.stream.write(FORGED[name])
        return begin, len(FORGED[name]), zlib.crc32(FORGED[name])

    writer._pictures.append = forge
    for sequence in range(3):
        writer.append(make_step(sequence))
    tail = ExperienceTail(tmp_path, spec)
    steps = read_everything(tail)
    assert same(steps, [make_step(0), make_step(2)])
    assert [problem.kind for problem in tail.problems] == ["damage", "gap"]
    assert "its picture 'image' in actor-0001.pictures.mcap" in tail.problems[0].text


def test_of_a_file_no_more_than_the_picture_is_decompressed():
    picture = decode(_png(4, 4, bytes(10_000_000)), Space((4, 4, 3), "uint8"), "png")
    np.testing.assert_array_equal(picture, np.zeros((4, 4, 3)))


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("name", ["zTXt", "iTXt", "iCCP"])
def test_what_is_compressed_beside_the_pixels_is_not_decompressed(monkeypatch, name, where):
    """The library would do so before it tells a picture's size, a megabyte for each kilobyte."""
    text = b"a\0" + (b"\1\0\0\0" if name == "iTXt" else b"\0") + zlib.compress(bytes(1_000))
    forged = _png(4, 4, bytes(4 * 13), **{where: _chunk(name.encode(), text)})
    space = Space((4, 4, 3), "uint8")
    decode(_png(4, 4, bytes(4 * 13)), space, "png")
    monkeypatch.setattr(Image, "open", None)  # is not asked at all
    with pytest.raises(ValueError, match="pixels and nothing else"):
        decode(forged, space, "png")


def test_a_large_picture_is_read_though_its_pixels_take_many_chunks():
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    content = PNG.encode(picture)
    assert content.count(b"IDAT") > 1
    np.testing.assert_array_equal(decode(content, Space(picture.shape, "uint8"), "png"), picture)


def _jpeg_of_scans(count):
    """Sequential, in that its head says so, and drawn `count` times over."""
    content = _file("JPEG", "L", (16, 16))
    begin = content.index(SCAN)
    return content[:begin] + content[begin:-2] * count + content[-2:]


SCAN = b"\xff\xda"
PASSES = {
    "progressive": _file("JPEG", "L", (16, 16), progressive=True),
    "sequential": _jpeg_of_scans(2),
    "hidden in a comment": _jpeg_of_scans(2).replace(SCAN, b"\xff\xfe\0\2" + SCAN, 1),
    "hidden behind a restart": _jpeg_of_scans(2).replace(SCAN, b"\xff\xd0" + SCAN, 1),
    "without any": _file("JPEG", "L", (16, 16)).split(SCAN)[0],
}


@pytest.mark.parametrize("name", PASSES)
def test_a_jpeg_that_is_drawn_in_many_passes_is_none_of_ours(name):
    """Each of them may take as long as a picture, and thousands go into one."""
    space = Space((16, 16, 1), "uint8")
    decode(_jpeg_of_scans(1), space, "jpeg")
    with pytest.raises(ValueError, match="one pass"):
        decode(PASSES[name], space, "jpeg")


@pytest.mark.parametrize("shape", [(17, 19, 3), (17, 19, 2), (65_498, 1, 1), (1, 65_498, 1)])
def test_a_jpeg_of_any_quality_and_size_is_read(shape):
    """A size of 65,498 reads like the mark of a scan in the file."""
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for quality in range(1, 101) if max(shape) < 100 else (95,):
        content = PictureStorage("jpeg", quality).encode(picture)
        assert decode(content, Space(shape, "uint8"), "jpeg").shape == shape
        assert content.count(SCAN) == (1 if max(shape) < 100 else 2)


def test_a_log_and_its_pictures_roll_together(spec, make_step, same, tmp_path):
    written = []
    with RollingExperienceWriter(tmp_path, spec, 1, 60.0, 12_000, pictures=PNG) as writer:
        for sequence in range(60):
            step = make_step(sequence)
            writer.append(step)
            written.append(step)
    logs = list_logs(tmp_path)
    for path in list(logs.values())[:-1]:
        assert 12_000 <= path.stat().st_size + pictures_path(path).stat().st_size < 20_000
    assert len(logs) > 1 and all(map(is_complete, logs.values()))
    assert same(ExperienceTail(tmp_path, spec).read(), written)
