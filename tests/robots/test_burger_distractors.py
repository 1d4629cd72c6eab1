"""What distracts the Burger's cameras changes pictures and nothing else, and is never taken for what a task seeks."""

import contextlib

import numpy as np
import pytest

from daydreamer.contract.signals import CAMERA
from daydreamer.errors import UserError
from daydreamer.robots.burger.embodiment import ABOVE
from daydreamer.robots.burger.sight import find_post, find_robot
from daydreamer.robots.registry import find_robot as robot_named
from daydreamer.session.new import configure
from sim.distractors import MOST_IN_A_PATCH, MOST_OF_THE_OTHERS, spare

ALL = ("bodies=16", "light=0.6", "floor=carpet")
AHEAD, BACK = np.array((1.0, 0.0, 0.0, 0.0)), np.array((0.0, 0.0, 0.0, 1.0))


@contextlib.contextmanager
def twin_of(task, distractors=(), seed=0):
    overrides = [f"twin.distractors.{each}" for each in distractors]
    config = configure(robot="burger", task=task, minutes=1.0, seed=seed, overrides=overrides)
    with contextlib.closing(robot_named("burger").make_twin(config.twin, seed)) as twin:
        yield twin


def drive(twin, seconds):
    """Everything that the robot says every half a second, from near a wall on, if it is in the room."""
    said = []
    if CAMERA in twin.read():
        twin.place_base(np.array((-1.0, 0.3, 0.01)), AHEAD)
    for step in range(round(2 * seconds)):
        twin.command(np.array((0.1, 1.0 if step % 4 < 2 else -0.6)))
        twin.advance(0.5)
        said.append(twin.read())
    return said


def pass_by(twin, seconds):
    """Time for the cameras, in which the robot does nothing: its physics is what takes long."""
    twin.data.time += seconds
    twin.advance(0.01)


@pytest.mark.parametrize("task, camera", [("reach", CAMERA), ("reach_from_above", ABOVE)])
def test_they_change_the_pictures_and_nothing_of_the_physics(task, camera):
    with twin_of(task) as twin:
        plain, state = drive(twin, 6.0), twin.data.qpos.copy()
    for distractors in ALL:
        with twin_of(task, [distractors]) as twin:
            distracted = drive(twin, 6.0)
            assert np.array_equal(twin.data.qpos, state)
        for before, after in zip(plain, distracted, strict=True):
            assert before.keys() == after.keys()
            assert all(np.array_equal(before[name], after[name]) for name in before if name != camera)
        changed = [np.mean(np.abs(a[camera].astype(int) - b[camera])) for a, b in zip(plain, distracted, strict=True)]
        assert np.mean(changed) > 1.0, distractors


def test_they_are_the_same_for_a_seed_and_others_for_another():
    pictures = []
    for seed, motion_seed in ((0, 0), (0, 0), (1, 0)):
        with twin_of("reach", ALL, seed) as twin:
            twin.place_base(np.array((-0.6, 0.0, 0.01)), AHEAD)
            twin.reset(seed=motion_seed)
            twin.advance(1.0)
            pictures.append(twin.read()[CAMERA])
    assert np.array_equal(pictures[0], pictures[1])
    assert np.mean(pictures[0] != pictures[2]) > 0.5


def test_bodies_move_and_the_light_drifts():
    for distractors in ("bodies=16", "light=0.6"):
        with twin_of("reach", [distractors]) as twin:
            twin.place_base(np.array((-1.0, 0.0, 0.01)), AHEAD)
            pictures = []
            for _ in range(3):
                pass_by(twin, 7.0)
                pictures.append(twin.render(64, 64, "front").astype(int))
            assert min(np.abs(a - b).max() for a, b in zip(pictures, pictures[1:], strict=False)) > 20


@pytest.mark.parametrize("floor", ["wood", "carpet", "checks"])
def test_nothing_is_taken_for_the_post_or_for_the_robot(floor):
    for seed in range(2):
        with twin_of("reach", (*ALL[:2], f"floor={floor}"), seed) as twin:
            twin.place_base(np.array((-0.3, 0.0, 0.01)), BACK)
            for _ in range(12):
                pass_by(twin, 5.0)
                assert not find_post(twin.read()[CAMERA]).any()
            twin.place_base(np.array((-0.5, 0.0, 0.01)), AHEAD)
            twin.advance(0.5)
            assert find_post(twin.read()[CAMERA])[0] == 1.0
        with twin_of("reach_from_above", (*ALL[:2], f"floor={floor}"), seed) as twin:
            twin.place_base(np.array((10.2 + 0.017, 0.1, 0.01)), AHEAD)
            for _ in range(12):
                pass_by(twin, 5.0)
                assert find_robot(twin.read()[ABOVE]) == pytest.approx((0.7, 0.4), abs=0.03)


def test_colours_are_near_to_that_of_the_task_and_not_it():
    colours = np.random.default_rng(0).uniform(0.0, 1.0, (1000, 3))
    for channel in range(3):
        for most in (MOST_OF_THE_OTHERS, MOST_IN_A_PATCH):
            spared = spare(colours, channel, most)
            others = np.delete(spared, channel, axis=-1).max(axis=-1)
            assert (
                (spared[:, channel] <= most * others + 1e-9).all() and (0.0 <= spared).all() and (spared <= 1.0).all()
            )
            unlike = colours[:, channel] <= most * np.delete(colours, channel, axis=-1).max(axis=-1)
            assert np.allclose(spared[unlike], colours[unlike]) and not np.allclose(spared[~unlike], colours[~unlike])


def test_a_robot_without_a_place_for_them_says_so():
    config = configure(robot="a1", minutes=1.0, seed=0, overrides=["twin.distractors.bodies=1"])
    with pytest.raises(UserError, match="twin of 'a1' has no place for distractors"):
        robot_named("a1").make_twin(config.twin, 0)
