"""How a robot was driven: written down once, held to afterwards, believed only if it makes sense."""

import os

import msgspec
import pytest

from daydreamer.errors import UserError
from daydreamer.session.wiring import Wiring, keep_wiring, read_wiring, write_wiring

TOPICS = {"joint_states": "/joint_states", "joint_command": "/joint_command", "e_stop": "/e_stop"}
USUAL = Wiring(command_interface="joint_state", namespace="/", topics=TOPICS)


@pytest.fixture
def session(record_session):
    return record_session().session


def test_the_first_actor_writes_it_down_and_later_ones_are_held_to_it(session):
    assert read_wiring(session) is None
    keep_wiring(session, USUAL)
    keep_wiring(session, USUAL)
    assert read_wiring(session) == USUAL and USUAL.ros_arguments() == ()
    other = msgspec.structs.replace(USUAL, command_interface="forward_position")
    with pytest.raises(UserError, match="command_interface forward_position instead of joint_state"):
        keep_wiring(session, other)
    other = msgspec.structs.replace(USUAL, topics=TOPICS | {"e_stop": "/panel/stop"})
    with pytest.raises(UserError, match="e_stop at /panel/stop instead of /e_stop"):
        keep_wiring(session, other)


def test_what_is_otherwise_is_said_in_arguments_of_ros():
    topics = {name: f"/left{topic}" for name, topic in TOPICS.items()} | {"joint_command": "/arm/commands"}
    wiring = Wiring(command_interface="forward_position", namespace="/left", topics=topics)
    moved = ("-r", "__ns:=/left", "-r", "joint_command:=/arm/commands", "-p", "command_interface:=forward_position")
    assert wiring.ros_arguments() == moved


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 10_000,
        b"{}",
        b"\xff\x00",
        b" " * (1 << 20),
        msgspec.json.encode(msgspec.structs.replace(USUAL, namespace="/a:=b")),
        msgspec.json.encode(msgspec.structs.replace(USUAL, command_interface="telepathy")),
        msgspec.json.encode(msgspec.structs.replace(USUAL, topics={"joint_command": "--params-file"})),
        msgspec.json.encode(msgspec.structs.replace(USUAL, topics={"__node": "/x\n"})),
    ],
)
def test_a_damaged_record_is_named(session, content):
    session.wiring.write_bytes(content)
    with pytest.raises(UserError, match="wiring.json"):
        read_wiring(session)


def test_no_link_is_followed_and_no_pipe_waited_for(session, tmp_path):
    write_wiring(session, USUAL)
    session.wiring.rename(tmp_path / "elsewhere.json")
    session.wiring.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UserError, match="wiring.json"):
        read_wiring(session)
    session.wiring.unlink()
    os.mkfifo(session.wiring)
    with pytest.raises(UserError, match="a pipe"):
        read_wiring(session)
