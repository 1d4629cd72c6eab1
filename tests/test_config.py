"""Ranges: every number of the configuration has one, at both ends."""

import typing

import msgspec
import pytest

from daydreamer.config import LatchingWatchdog, SessionConfig, encode_yaml, parse_overrides, resolve
from daydreamer.errors import UserError
from daydreamer.robots.registry import robots
from daydreamer.safety.watchdogs import Watchdog


def numbers(kind=SessionConfig, path=""):
    """(path, type with its bounds) of every number that can be set."""
    for field in msgspec.structs.fields(kind):
        yield from _numbers_of(msgspec.inspect.type_info(field.type), f"{path}{field.name}")


def _numbers_of(info, path):
    match info:
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            yield path, info
        case msgspec.inspect.UnionType():
            for one in info.types:
                yield from _numbers_of(one, path)
        case msgspec.inspect.TupleType():
            for one in info.item_types:
                yield from _numbers_of(one, path)
        case msgspec.inspect.VarTupleType():
            yield from _numbers_of(info.item_type, path)
        case msgspec.inspect.StructType():
            yield from numbers(info.cls, f"{path}.")


def test_every_number_has_a_range():
    found = list(numbers())
    assert len(found) > 100
    for path, info in found:
        assert info.ge is not None or info.gt is not None, path
        assert info.le is not None or info.lt is not None, path


SCALARS = [
    path
    for path, _ in numbers()
    if not any(part in path for part in ("incidents", "randomisation", "rhythm_hz")) or path.endswith("per_minute")
]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "-1e300"])
def test_what_is_not_finite_or_absurd_is_refused_by_name(value):
    for path in SCALARS:
        with pytest.raises(UserError, match=path.replace(".", r"\.")):
            resolve(parse_overrides([f"{path}={value}"]))


@pytest.mark.parametrize(
    "assignment",
    [
        "actor.state_timeout_s=nan",
        "actor.damp_timeout_s=60",
        "safety.over_speed_s=nan",
        "safety.ramp_speed_rad_s=-1",
        "safety.ramp_speed_rad_s=0",
        "safety.ramp_speed_rad_s=1000",
        "safety.loop_gap_s=0",
        "safety.trips=0",
        "safety.latching=[a_watchdog_that_nobody_knows]",
        "actor.rhythm_hz=[.nan, 2]",
        "twin.incidents=[{kind: push, start_s: .inf}]",
        "learner.batch_size=0",
        "learner.actor_gradient=none",
        "ros_domain_id=400",
    ],
)
def test_settings_that_take_the_safety_away_are_refused(assignment):
    with pytest.raises(UserError, match=assignment.split("=")[0].replace(".", r"\.")):
        resolve(parse_overrides([assignment]))


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (["learner.imagination_starts=100000"], "imagination_starts=100000 exceeds the 512 states of a batch"),
        (["learner.devices=5"], r"devices=5 does not divide both batch_size=16 and imagination_starts=192"),
        (["learner.members=1"], "nobody to disagree"),
        (["learner.batch_length=1"], r"learner\.batch_length"),
        (["learner.discount=1"], r"learner\.discount"),
        (["learner.gradient_explosion=1"], r"learner\.gradient_explosion"),
        (["model.initial_deviation=2.0"], "minimum_deviation < initial_deviation < maximum_deviation .*0.03, 2, 1"),
        (["model.minimum_deviation=0.2"], "minimum_deviation < initial_deviation < maximum_deviation"),
        (["model.deterministic=30"], "deterministic=30 is not a multiple of blocks=4"),
        (["model.bins=64"], "bins=64 is even"),
    ],
)
def test_settings_by_which_nothing_can_be_learned_are_refused(assignments, words):
    with pytest.raises(UserError, match=words):
        resolve(parse_overrides(assignments))


def test_a_section_is_set_as_a_whole_or_in_parts():
    assert parse_overrides(["learner={batch_size: 8}", "learner.batch_length=4"]) == {
        "learner": {"batch_size": 8, "batch_length": "4"}
    }
    with pytest.raises(UserError, match="'learner.batch_size=8' sets a part of 'learner', which is set as a whole"):
        parse_overrides(["learner=3", "learner.batch_size=8"])


@pytest.mark.parametrize("robot", robots().values(), ids=lambda robot: robot.name)
@pytest.mark.parametrize("body", ["twin", "hardware"])
def test_what_we_set_ourselves_is_within_the_ranges(robot, body):
    for preset in robot.task().presets:
        config = resolve(robot.preset(robot.usual_task, preset, body))
        assert msgspec.yaml.decode(encode_yaml(config), type=SessionConfig) == config


def test_what_can_be_latched_are_watchdogs():
    assert set(typing.get_args(LatchingWatchdog)) < {name.value for name in Watchdog}


@pytest.mark.parametrize("wrong", ["learner.trainratio=3", "lerner.train_ratio=3", "train_ratio=3"])
def test_of_a_setting_that_there_is_not_the_nearest_is_named(wrong):
    with pytest.raises(UserError, match=rf"no setting '{wrong.split('=')[0]}' \(did you mean learner\.train_ratio\?\)"):
        resolve(parse_overrides([wrong]))
