"""What a stranger may have put into a session's place of a file, and what is done about it."""

import os
import shutil
import socket
import stat
import tracemalloc

import pytest

from daydreamer.config import decode_yaml, resolve
from daydreamer.errors import UserError
from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import last_sequence
from daydreamer.policy.snapshot import latest_snapshot, published_snapshots
from daydreamer.robots.registry import find_robot
from daydreamer.session.dashboard import dashboard_url
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog, read_events
from daydreamer.session.status import StatusWriter, read_status
from daydreamer.spec import RobotSpec, Space
from daydreamer.storage.atomic import write_atomically
from daydreamer.storage.files import file_size, list_folder, make_folder, open_file, read_file, remove_file
from daydreamer.telemetry.dreams import list_dreams
from daydreamer.telemetry.scalars import ScalarReader

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / ".bashrc").write_text("alias ls='ls --color'\n")
    return folder


@pytest.fixture
def session(tmp_path):
    return Session.create(tmp_path / "session", resolve(find_robot("a1").preset("walk", "tiny", "twin")), SPEC)


def socket_at(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


OTHERS = {
    "a link": lambda path, outside: path.symlink_to(outside / ".bashrc"),
    "a link to nothing": lambda path, outside: path.symlink_to(outside / "new"),
    "a device": lambda path, outside: path.symlink_to("/dev/zero"),
    "a pipe": lambda path, outside: os.mkfifo(path),
    "a socket": lambda path, outside: socket_at(path),
    "a folder": lambda path, outside: path.mkdir(),
}


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_APPEND, os.O_RDWR | os.O_CREAT])
def test_only_a_regular_file_is_opened(tmp_path, outside, what, flags):
    path = tmp_path / "file"
    OTHERS[what](path, outside)
    with pytest.raises(OSError, match="not followed|not a file"):
        open_file(path, flags)
    with pytest.raises(OSError):
        file_size(path)
    assert os.listdir(outside) == [".bashrc"]


def test_nothing_is_reached_through_a_linked_folder(tmp_path, outside):
    (tmp_path / "report").symlink_to(outside)
    path = tmp_path / "report" / ".bashrc"
    before = path.read_bytes()
    for reach in (
        lambda: read_file(path, 100),
        lambda: open_file(path, os.O_WRONLY | os.O_APPEND),
        lambda: write_atomically(path, b"owned"),
        lambda: remove_file(path),
        lambda: file_size(path),
        lambda: list_folder(path.parent),
        lambda: make_folder(path.parent / "new"),
        lambda: make_folder(path.parent),
    ):
        with pytest.raises(OSError, match="report is a link, which is not followed"):
            reach()
    assert path.read_bytes() == before and os.listdir(outside) == [".bashrc"]


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path, outside):
    path = tmp_path / "status.json"
    path.symlink_to(outside / ".bashrc")
    write_atomically(path, b"{}")
    assert path.read_bytes() == b"{}" and "alias" in (outside / ".bashrc").read_text()


def test_a_file_with_a_second_name_is_read_but_not_changed_in_place(tmp_path, outside):
    path = tmp_path / "events.jsonl"
    os.link(outside / ".bashrc", path)
    assert read_file(path, 100).startswith(b"alias")
    with pytest.raises(OSError, match="second name"):
        open_file(path, os.O_WRONLY | os.O_APPEND)


def test_what_is_read_has_a_bound(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    assert read_file(path, 100) == bytes(100)
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="larger than"):
        read_file(path, 100)


def test_what_is_read_takes_its_size_once_and_what_is_too_large_nothing(tmp_path):
    path = tmp_path / "file"
    size = 1 << 25
    tracemalloc.start()
    try:
        path.touch()
        os.truncate(path, size)
        assert len(read_file(path, size)) == size
        _, whole_bytes = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with pytest.raises(OSError, match="larger than"):
            read_file(path, size - 1)
        _, refused_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert whole_bytes < 1.1 * size and refused_bytes < 0.1 * size


def test_a_file_that_grows_is_read_to_its_bound(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    small = os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, 60, 0, 0, 0))  # as it was a moment ago
    monkeypatch.setattr(os, "fstat", lambda descriptor: small)
    assert read_file(path, 100) == bytes(100)
    with pytest.raises(OSError, match="larger than"):
        read_file(path, 99)


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize(
    "name", ["events.jsonl", "locks/session.lock", "session.yaml", "status/actor.json", "launch.json"]
)
def test_every_file_of_a_session_may_be_something_else(session, outside, name, what):
    path = session.path / name
    remove_file(path)
    OTHERS[what](path, outside)
    before = (outside / ".bashrc").read_bytes()
    try:
        opened = Session.open(session.path)
    except UserError as error:
        assert name == "session.yaml" and "session.yaml" in str(error)
    else:
        read_status(opened), dashboard_url(opened)
        if name == "status/actor.json":
            assert any("actor.json" in problem for problem in read_status(opened)["problems"])
        if what != "a folder":
            with pytest.raises(UserError, match=f"{name} is .*all that belongs to a session lies in its directory"):
                with opened.lock():
                    pass
        if name == "events.jsonl":
            with pytest.raises(UserError, match="cannot be written"):
                EventLog(opened.events).record("start", "actor")
            with pytest.raises(UserError, match="cannot be read"):
                read_events(opened.events)
    assert (outside / ".bashrc").read_bytes() == before and os.listdir(outside) == [".bashrc"]


@pytest.mark.parametrize(
    "name", ["experience", "policy", "checkpoints", "metrics", "status", "dreams", "locks", "report"]
)
def test_every_folder_of_a_session_may_be_a_link(session, outside, name):
    shutil.rmtree(session.path / name, ignore_errors=True)
    (session.path / name).symlink_to(outside)
    opened = Session.open(session.path)
    read_status(opened)
    reader = ScalarReader(opened.metrics)
    reader.read()
    assert name != "metrics" or "is a link" in reader.problems[opened.metrics]
    for folder, look in (
        ("experience", lambda: list_logs(opened.experience)),
        ("policy", lambda: published_snapshots(opened.policy)),
        ("policy", lambda: latest_snapshot(opened.policy)),
        ("dreams", lambda: list_dreams(opened.dreams)),
        ("status", lambda: StatusWriter(opened, "actor").write({"state": "running"})),
    ):
        if folder == name:
            with pytest.raises(UserError, match="is a link, which is not followed"):
                look()
    with pytest.raises(UserError, match=f"{name} is a link"), opened.lock("actor"):
        pass
    assert os.listdir(outside) == [".bashrc"]


def test_the_operators_own_links_to_a_session_are_followed(session, tmp_path):
    (tmp_path / "latest").symlink_to(session.path)
    opened = Session.open(tmp_path / "latest")
    assert opened.path == session.path
    with opened.lock():
        pass
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError):
        Session.open(tmp_path / "loop")


def test_a_session_is_its_owners_alone(tmp_path):
    before = os.umask(0o022)
    try:
        session = Session.create(tmp_path / "private", resolve({}), SPEC)
        EventLog(session.events).record("start", "actor")
        StatusWriter(session, "actor").write({"state": "running"})
    finally:
        os.umask(before)
    for path in (session.path, *session.path.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_log_of_holes_is_looked_at_in_no_time(session):
    path = session.experience / "actor-0001.mcap"
    path.write_bytes(b"\x89MCAP0\r\n")
    os.truncate(path, 1 << 40)
    status = read_status(session)
    assert any("actor-0001.mcap is damaged" in problem for problem in status["problems"])
    with pytest.raises(UserError, match="damaged"):
        last_sequence(path)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\nb: [" + ", ".join(["*a"] * 12_000) + "]\n",
        "\n".join(["a0: &a0 [1]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]),
        "a: " + "[" * 100_000,
        "a: &a [*a]",
        "a: 2001-99-99",
        "? [1, 2]\n: 3",
        "a: \x07",
        "9" * 5000 + ": 1",
    ],
)
def test_yaml_that_comes_to_too_much_is_refused_before_it_is_made(text):
    with pytest.raises(UserError, match="^settings is not valid YAML"):
        decode_yaml(text.encode(), "settings")
