"""Training leaves the processor to a browser that opens the dashboard, for a while, and not for ever."""

import time

import pytest

from daydreamer.learner.process import PAGE_PAUSE_S, PAGE_S, PageWatch
from daydreamer.session.dashboard import note_page_opened, page_opened_s
from daydreamer.session.new import configure, new_session


@pytest.fixture
def session(tmp_path):
    return new_session(tmp_path / "session", configure(robot="a1", minutes=1.0, seed=0))


@pytest.fixture
def clock(monkeypatch):
    """A steady clock that goes on only when told: `clock(seconds)`."""
    now_s = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])

    def wait(seconds):
        now_s[0] += seconds

    return wait


def test_a_page_that_opens_is_waited_for_but_not_again_and_again(session, clock):
    watch = PageWatch(session)
    assert not watch.opening()
    note_page_opened(session)
    clock(1.0)
    assert watch.opening()
    clock(PAGE_S)
    assert not watch.opening()
    note_page_opened(session)
    clock(1.0)
    assert not watch.opening(), "a page that is loaded all the time would end the learning"
    clock(PAGE_PAUSE_S)
    note_page_opened(session)
    clock(1.0)
    assert watch.opening()


def test_what_is_no_time_is_nobody(session):
    (session.status / "page_opened").write_text("now")
    assert page_opened_s(session) is None and not PageWatch(session).opening()
