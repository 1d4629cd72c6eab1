"""The Burger's twin: it drives as it is told, believes its wheels, and is seen where it is."""

import contextlib

import msgspec
import numpy as np
import pytest

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.contract.signals import ANGULAR_VELOCITY, CAMERA, JOINT_VELOCITY, ODOMETRY_POSE
from daydreamer.errors import UserError
from daydreamer.robots.burger.constants import GOAL, STATE_PERIOD_S
from daydreamer.robots.burger.embodiment import ABOVE
from daydreamer.robots.burger.reach import Reach
from daydreamer.robots.burger.reach_from_above import DISTANCE
from daydreamer.robots.burger.sight import find_post, find_robot
from daydreamer.robots.registry import find_robot as robot_named
from daydreamer.robots.sensor_watch import SensorWatch
from daydreamer.session.new import configure

AHEAD = np.array((1.0, 0.0, 0.0, 0.0))


@contextlib.contextmanager
def twin_of(task, seed=0, **overrides):
    config = configure(
        robot="burger", task=task, minutes=1.0, seed=seed, overrides=[f"twin.{k}={v}" for k, v in overrides.items()]
    )
    with contextlib.closing(robot_named("burger").make_twin(config.twin, seed)) as twin:
        yield twin


def drive(twin, twist, seconds):
    for _ in range(round(seconds / 0.05)):
        twin.command(np.array(twist))
        twin.advance(0.05)
        twin.read()


def test_it_drives_as_it_is_told_and_its_odometry_agrees_but_for_slip():
    with twin_of("reach", camera="false") as twin:
        twin.place_base(np.array((-1.0, 0.6, 0.01)), AHEAD)
        twin.advance(0.1)
        begin_m, begin = twin.truth().position_m, twin.read()[ODOMETRY_POSE]
        drive(twin, (0.2, 0.0), 5.0)
        moved_m = np.linalg.norm((twin.truth().position_m - begin_m)[:2])
        said_m = np.linalg.norm((twin.read()[ODOMETRY_POSE] - begin)[:2])
        assert 0.9 < moved_m < 1.0 and said_m == pytest.approx(moved_m, rel=0.03) and said_m != moved_m
        assert twin.truth().up_z > 0.999
        # Commands are cut off to hundredths on their way to the wheels.
        drive(twin, (0.019, 0.0), 1.0)
        assert np.mean(twin.read()[JOINT_VELOCITY]) == pytest.approx(0.01 / 0.033, abs=0.15)


def test_it_turns_about_its_axle_and_slips_little():
    with twin_of("reach", camera="false") as twin:
        twin.place_base(np.array((-0.7, 0.7, 0.01)), AHEAD)
        drive(twin, (0.0, 1.0), 1.0)
        heading_rad = twin.truth().yaw_rad
        drive(twin, (0.0, 1.0), 2.0)
        assert twin.truth().yaw_rad - heading_rad == pytest.approx(2.0, rel=0.08)
        assert np.linalg.norm(twin.truth().position_m[:2] - (-0.7, 0.7)) < 0.03


def test_its_driver_goes_on_for_ever_by_the_last_command():
    with twin_of("reach", camera="false") as twin:
        twin.place_base(np.array((-1.0, 0.6, 0.01)), AHEAD)
        twin.command(np.array((0.1, 0.0)))
        twin.advance(3.0)
        assert twin.truth().velocity_m_s[0] == pytest.approx(0.1, rel=0.1)


def test_the_camera_sees_the_post_with_noise_and_the_same_picture_once():
    with twin_of("reach") as twin:
        twin.place_base(np.array((-0.6, 0.0, 0.01)), AHEAD)
        twin.advance(0.3)
        first = twin.read()[CAMERA]
        assert twin.read()[CAMERA] is first
        seen, bearing, nearness = find_post(first)
        # 10 cm, 0.56 m before the lens, through 48.8 degrees: 12.6 of 64 pixels, and 19.2 are near.
        assert seen == 1.0 and abs(bearing) < 0.1 and nearness == pytest.approx(12.6 / 19.2, abs=0.1)
        twin.advance(0.25)
        assert twin.read()[CAMERA] is not first and np.any(twin.read()[CAMERA] != first)


def test_from_above_it_is_seen_where_it_is():
    with twin_of("reach_from_above", seed=2) as twin:
        assert twin.description.initial_states.keys() == {"in_a_room", "in_an_arena"}
        for right, down in ((0.3, 0.8), (0.5, 0.5), (0.825, 0.165)):
            twin.place_base(np.array((10.0 + right - 0.5 + 0.017, 0.5 - down, 0.01)), AHEAD)
            twin.advance(0.6)
            place = find_robot(twin.read()[ABOVE])
            assert place == pytest.approx((right, down), abs=0.015)
            true = twin.truth().quantities[DISTANCE]
            assert np.linalg.norm(place - GOAL) == pytest.approx(true, abs=0.02)


def test_a_beginning_that_there_is_not():
    with pytest.raises(UserError, match="cannot begin 'afloat'; choose one of in_a_room, in_an_arena"):
        with twin_of("reach", camera="false", initial_state="afloat"):
            pass


class Watched:
    """The supervisor as on hardware, over a twin whose pictures a test may change; in simulated time."""

    def __init__(self, twin):
        config = configure(robot="burger", task="reach", body="hardware", minutes=1.0, seed=0)
        self.twin, self.steps, self.raised = twin, [], []
        self.change = lambda measurement: None
        self.loop = ControlLoop(
            robot_named("burger").task("reach").make(config),
            msgspec.structs.replace(config.actor, random_s=1e5),
            self,
            actor_life=1,
            seed=0,
            safety=msgspec.structs.replace(config.safety, learner_silent_s=1e4, policy_old_s=1e4),
            clock=lambda: twin.time_s,
            on_event=lambda kind, **fields: kind == "watchdog" and self.raised.append(str(fields.get("subject"))),
        )
        self.loop.supervisor.activate("test")

    def append(self, step):
        self.steps.append(step)

    def run(self, seconds):
        for _ in range(round(seconds / STATE_PERIOD_S)):
            measurement = self.twin.measure()
            measurement.received_s = dict(measurement.received_s)
            self.change(measurement)
            command = self.loop.step(measurement, self.twin.time_s)
            if command is not None:
                assert np.isfinite(command.setpoint).all()
                self.twin.command(command.setpoint)
            self.twin.advance(self.loop.tick_period_s)

    @property
    def stands(self):
        return abs(self.twin.truth().velocity_m_s[0]) < 0.01 and abs(self.twin.data.qvel[5]) < 0.05


def black(measurement):
    measurement[CAMERA] = measurement[CAMERA] // 64


def ten_seconds_old(measurement):
    measurement.received_s[CAMERA] = measurement.time_s - 10.0


def reset(measurement):
    measurement[ODOMETRY_POSE] = measurement[ODOMETRY_POSE] - np.array((0.0, 7.0, 0.0))


@pytest.mark.parametrize(
    "change, said", [(black, "are black"), (ten_seconds_old, CAMERA), (reset, "has leapt")], ids=lambda x: str(x)[:20]
)
def test_what_cannot_be_believed_holds_the_robot_which_goes_on_by_itself(change, said):
    with twin_of("reach") as twin:
        watched = Watched(twin)
        watched.run(8.0)  # it sets off to somewhere else first
        assert watched.steps and not watched.raised
        watched.change = change
        watched.run(1.6)
        assert any(said in each for each in watched.raised) and watched.stands
        steps = len(watched.steps)
        watched.run(0.2)
        assert len(watched.steps) == steps  # what happens meanwhile is no experience
        watched.change = (lambda measurement: None) if change is not reset else reset
        watched.run(12.0)
        assert len(watched.steps) > steps and [step.sequence for step in watched.steps] == list(
            range(len(watched.steps))
        )


@pytest.mark.parametrize("times, said", [(1.0, []), (np.degrees(1.0), ["gyroscope_unit"])], ids=["rad/s", "degrees/s"])
def test_only_its_turns_tell_the_unit_of_its_gyroscope(times, said):
    with twin_of("reach", camera="false") as twin:
        task = Reach(seed=0)
        watch, found = SensorWatch(task.spec, task.embodiment), []
        twin.command(np.array((0.1, 1.0)))
        for _ in range(400):
            twin.advance(STATE_PERIOD_S)
            measurement = twin.measure()
            measurement[ANGULAR_VELOCITY] = measurement[ANGULAR_VELOCITY] * times
            found += [remark.kind for remark in watch.look(measurement)]
        assert sorted(set(found)) == said
