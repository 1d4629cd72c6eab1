"""The dashboard of a recorded session: what is drawn, who may look, and that a browser without internet shows it."""

import contextlib
import dataclasses
import itertools
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("rerun")

from daydreamer.experience.log import ExperienceWriter, log_path
from daydreamer.experience.tail import ExperienceTail
from daydreamer.telemetry.columns import to_columns
from daydreamer.telemetry.dreams import DreamWriter
from daydreamer.viewer.clock import RobotClock
from daydreamer.viewer.dashboard import Dashboard
from daydreamer.viewer.feeds import SHOWN_RATIO, ErrorScale
from daydreamer.viewer.selection import Selection

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import dashboard_picture

TIMEOUT_S = 240.0


def test_everything_is_in_the_recording_at_its_robot_time(recorded, print_recording, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in recorded.path.rglob("*") if path.is_file()}
    dashboard = Dashboard(recorded, 60.0, tmp_path / "session.rrd")
    while dashboard.update():
        pass
    dashboard.close()
    text = print_recording(tmp_path / "session.rrd", "-vvv")
    for path in (
        "/banner",
        "/learning/reward",
        "/learning/terms",
        "/learning/figures/info-forward_velocity_m_s",
        "/learning/reward/upright",
        "/robot/now",
        "/robot/dream",
        "/dream/signals/joints/1/reality",
        "/dream/signals/joints/1/dream",
        "/dream/error/ratio",
        "/health/card",
        "/health/control",
        "/events",
    ):
        assert path in text, path
    assert "actor: fault error a cable came off" in text
    # A dashboard only looks.
    assert before == {path: path.stat().st_mtime_ns for path in recorded.path.rglob("*") if path.is_file()}


def listening(process):
    """Addresses on which the process or a child of it listens."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    connections = (each for member in family for each in member.net_connections())
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}


def wait_for(condition, what):
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.5)


def rising_curve(picture):
    """Whether there is a curve of the reward, whole and rising."""
    curve = dashboard_picture.reward_curve(picture)
    left, right = np.array_split(curve, 2)
    return np.isfinite(curve).mean() > 0.9 and np.nanmean(right) > np.nanmean(left) + 0.1


@contextlib.contextmanager
def going_on(session):
    """Inside the block the session's robot walks on, in another life of the actor."""
    (step,) = ExperienceTail(session.experience, session.spec).read(1)
    ended = threading.Event()

    def walk():
        with ExperienceWriter(session.experience, session.spec, 2, fsync_period_s=60) as writer:
            for sequence in itertools.count():
                now_ns = time.time_ns()
                writer.append(
                    dataclasses.replace(
                        step, actor_life=2, sequence=sequence, monotonic_ns=now_ns, wall_ns=now_ns, reward=12.0
                    )
                )
                if ended.wait(session.spec.control_period_s):
                    return

    thread = threading.Thread(target=walk)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.timeout(600)
def test_a_browser_without_internet_shows_the_learning_curve_of_a_session_that_goes_on(
    recorded, watch, url_of, chromium
):
    process = watch(recorded, "--no-browser")
    try:
        url = url_of(process)
        assert listening(process) == {"127.0.0.1"}
        with going_on(recorded), dashboard_picture.browse(chromium) as page:
            page.open(url)
            wait_for(lambda: rising_curve(page.picture()), "no learning curve")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
    finally:
        process.kill()


@pytest.mark.timeout(600)
def test_a_port_that_is_taken_and_a_foreign_address_are_named(recorded, watch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        refused = watch(recorded, "--port", str(other.getsockname()[1]))
        output, _ = refused.communicate(timeout=TIMEOUT_S)
        assert refused.returncode == 2 and "is taken; choose another --port" in output
    foreign = watch(recorded, "--address", "192.0.2.1")
    output, _ = foreign.communicate(timeout=TIMEOUT_S)
    assert foreign.returncode == 2 and "cannot listen on 192.0.2.1" in output


def test_the_lines_that_move_most_are_shown_and_change_only_for_a_reason():
    random = np.random.default_rng(0)
    time_s = np.arange(300) / 10
    selection = Selection()
    moves = np.array((1.0, 5.0, 1.0, 4.0, 1.0, 3.0))
    assert selection.measure(time_s, random.standard_normal((300, 6)) * moves)
    assert selection.chosen == (1, 3, 5) and selection.number == 1
    # Others that move a little more are no reason.
    assert not selection.measure(time_s + 40, random.standard_normal((300, 6)) * (3.0, 2.5, 3.0, 2.5, 3.0, 2.5))
    assert selection.measure(time_s + 80, random.standard_normal((300, 6)) * (9.0, 1.0, 9.0, 1.0, 9.0, 1.0))
    assert selection.chosen == (0, 2, 4) and selection.number == 2
    still = Selection()
    assert still.measure(time_s, np.zeros((300, 2))) and still.chosen == (0, 1)


def test_errors_are_in_units_of_what_usually_changes(make_dream):
    def dream_with(error, unchanged):
        values = {"x": np.zeros((5, 1), np.float32), "reward": np.zeros(5, np.float32)}
        errors = ({"x": np.full(3, value), "reward": np.full(3, 9.0)} for value in (error, unchanged))
        return make_dream(values, 2, **dict(zip(("error", "unchanged_error"), errors, strict=True)))

    scale = ErrorScale(["x"])
    np.testing.assert_allclose(scale.ratio(dream_with(0.2, 0.4)), 0.5)
    # A robot at rest, where the error says little, does not look like a model that is of no use.
    np.testing.assert_allclose(scale.ratio(dream_with(0.1, 0.0)), 0.1 / (0.4 / np.sqrt(2)))
    assert (scale.ratio(dream_with(100.0, 0.4)) == SHOWN_RATIO).all()


def steps_of(recorder, life, count):
    random = np.random.default_rng(0)
    return to_columns([recorder.step(life, n, random) for n in range(count)], recorder.spec, 100 * (life - 1))


def test_the_clock_stands_still_between_the_lives_of_the_actor(record_session):
    recorder = record_session()
    clock = RobotClock(recorder.spec.control_period_s)
    assert clock.of_step(1, 0) is None and clock.of_wall(1.0) == 0.0
    clock.add(steps_of(recorder, 1, 100))
    assert clock.now_s == clock.of_step(1, 99) == 5.0
    begin_wall_s = steps_of(recorder, 1, 1).wall_ns[0] * 1e-9
    assert clock.of_wall(begin_wall_s - 10.0) == 0.0
    assert clock.of_wall(begin_wall_s + 2.5) == pytest.approx(2.55)
    assert clock.of_wall(begin_wall_s + 1000.0) == 5.0
    clock.add(steps_of(recorder, 2, 20))
    assert clock.of_step(2, 0) == pytest.approx(5.05) and clock.now_s == 6.0


def test_dreams_of_a_life_whose_log_is_gone_do_not_hide_the_others(
    record_session, make_dream, print_recording, tmp_path
):
    recorder = record_session()
    for _ in range(2):
        recorder.log(10.0)
    truth = {key: np.zeros((70, *space.shape), np.float32) for key, space in recorder.spec.observation.items()}
    truth["reward"] = np.zeros(70, np.float32)
    dreams = DreamWriter(recorder.session.dreams)
    for life in (1, 2):
        dreams.write(make_dream(truth, 20, actor_life=life))
    log_path(recorder.session.experience, 1).unlink()
    dashboard = Dashboard(recorder.session, 60.0, tmp_path / "recording.rrd")
    while dashboard.update():
        pass
    dashboard.close()
    assert "/dream/error/ratio" in print_recording(tmp_path / "recording.rrd")


def test_a_log_that_cannot_be_read_hides_nothing_else(recorded, print_recording, tmp_path):
    log_path(recorded.experience, 2).symlink_to(tmp_path / "elsewhere")
    dashboard = Dashboard(recorded, 60.0, tmp_path / "recording.rrd")
    while dashboard.update():
        pass
    dashboard.close()
    text = print_recording(tmp_path / "recording.rrd", "-vvv")
    assert "actor: fault error a cable came off" in text and "/health/card" in text
