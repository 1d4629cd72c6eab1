import os

import pytest

from daydreamer.session.new import configure, new_session
from daydreamer.session.stop_latch import NAME, StopLatch


@pytest.fixture
def session(tmp_path):
    return new_session(tmp_path / "session", configure(robot="a1", minutes=1.0, seed=0))


def test_a_stop_outlives_whoever_was_told_of_it_until_it_is_reset(session):
    latch = StopLatch(session)
    assert not latch.stopped
    for _ in range(3):
        latch.keep(True)
    assert StopLatch(session).stopped
    StopLatch(session).keep(False)
    assert not StopLatch(session).stopped


def test_a_stop_outlives_the_power_that_is_cut_next(session, monkeypatch):
    durable = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: durable.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    StopLatch(session).keep(True)
    assert durable == [str(session.status)]


def test_whatever_has_the_marks_name_is_a_stop_and_nothing_is_followed(session, tmp_path):
    target = tmp_path / "of_the_operator"
    os.symlink(target, session.status / NAME)
    latch = StopLatch(session)
    assert latch.stopped
    latch.keep(False)
    assert not StopLatch(session).stopped and not target.exists()
    os.symlink(target, session.status / NAME)
    latch.keep(True)  # a mark that somebody else has put there meanwhile
    assert latch.stopped and not target.exists()


def test_a_disk_that_does_not_take_it_is_complained_about_once_and_tried_again(session, caplog):
    (session.status / NAME).mkdir()
    latch = StopLatch(session)
    assert latch.stopped
    for _ in range(3):
        latch.keep(False)
    assert latch.stopped and len(caplog.records) == 1
    (session.status / NAME).rmdir()
    latch.keep(False)
    assert not latch.stopped
