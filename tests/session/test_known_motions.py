"""What a robot knows of getting up: kept with the session, handed down, believed only if it makes sense."""

import os

import msgspec
import pytest

from daydreamer.contract.motions import KnownMotion
from daydreamer.errors import UserError
from daydreamer.session.known_motions import KnownMotions, hand_down, read_known_motions

KNOWN = (
    KnownMotion(actions=None, successes=1.0, failures=10.0),
    KnownMotion(actions=((0.5,) * 12, (-1.0,) * 12), successes=3.5, failures=0.25),
)


@pytest.fixture
def session(record_session):
    return record_session().session


def test_what_is_known_is_kept_and_handed_down(session, record_session):
    known = KnownMotions(session)
    assert (known.motions, known.problem) == ((), "")
    known.keep(())
    assert not session.known_motions.exists()
    known.keep(KNOWN)
    written = session.known_motions.stat()
    known.keep(tuple(list(KNOWN)))
    assert session.known_motions.stat().st_ino == written.st_ino, "nothing new, and written again"
    assert KnownMotions(session).motions == KNOWN
    child = record_session("child").session
    hand_down(session, child)
    assert read_known_motions(child) == KNOWN
    childless = record_session("childless").session
    hand_down(record_session("poor").session, childless)
    assert not childless.known_motions.exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b'{"motions": 1}',
        b'{"motions": [{"actions": [[0.5]], "successes": 1, "failures": 1}]}',
        msgspec.json.encode({"motions": [{"actions": [[2.0] * 12], "successes": 1, "failures": 1}]}),
        msgspec.json.encode({"motions": [{"actions": [], "successes": 1, "failures": 1}]}),
        msgspec.json.encode({"motions": [{"actions": None, "successes": -1, "failures": 1}]}),
        msgspec.json.encode({"motions": [{"actions": None, "successes": 1e300, "failures": 1}]}),
        msgspec.json.encode({"motions": [{"actions": None, "successes": 1, "failures": 1}] * 65}),
        b'{"motions": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    ],
    ids=range(10),
)
def test_what_no_actor_of_this_robot_wrote_is_not_believed(session, record_session, damage, caplog):
    session.known_motions.write_bytes(damage)
    with pytest.raises(UserError, match="known_motions.json is damaged.*remove it"):
        read_known_motions(session)
    known = KnownMotions(session)
    assert known.motions == () and "finds out anew" in known.problem
    child = record_session("child").session
    hand_down(session, child)
    assert not child.known_motions.exists() and "damaged" in caplog.text
    known.keep(KNOWN)  # and it is found out anew
    assert read_known_motions(session) == KNOWN


def test_a_single_bit_is_noticed(session):
    KnownMotions(session).keep(KNOWN)
    content = session.known_motions.read_bytes()
    session.known_motions.write_bytes(content.replace(b"3.5", b"9.5"))
    with pytest.raises(UserError, match="checksum"):
        read_known_motions(session)


def test_a_link_is_not_followed(session, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b'{"motions": []}')
    os.symlink(tmp_path / "elsewhere", session.known_motions)
    with pytest.raises(UserError, match="cannot be read"):
        read_known_motions(session)
