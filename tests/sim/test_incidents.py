import dataclasses

import numpy as np
import pytest

from daydreamer.config import IncidentConfig, TwinConfig, parse_overrides, resolve
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from sim.incidents import AMBIENT_C, Incident, IncidentPlayer, kinds_of
from sim.link import Link
from sim.reactions import ReactionClock


@pytest.fixture(scope="module")
def standing():
    """A twin on its feet; one for all tests, as incidents leave no trace."""
    twin = make_twin(TwinConfig(), seed=0)
    twin.reset("standing")
    return twin


def play(twin, kind, **fields):
    """A player in the middle of an incident, and the function that ends it."""
    player = IncidentPlayer(twin, 0, [IncidentConfig(kind=kind, start_s=0.0, **fields)])
    (change,) = player.update(0.0)
    assert change.began and change.incident.kind == kind

    def end():
        (change,) = player.update(change_end_s)
        assert not change.began and not player.active

    change_end_s = change.incident.end_s
    return player, end


def hold(twin, seconds):
    for _ in range(round(seconds / 0.05)):
        twin.command(A1.stand_pose_rad)
        twin.advance(0.05)


def test_of_two_incidents_that_are_alike_each_has_its_own_reaction():
    clock, push = ReactionClock(), Incident("push", 1.0, 0.5, 30.0, "")
    clock.begin(push)
    clock.command(None, 1.2)
    clock.begin(dataclasses.replace(push))
    clock.driver_damps(1.3)
    assert [clock.end(push).damping_command_s for _ in range(2)] == pytest.approx([0.2, np.inf])


def test_a_link_is_perfect_until_told_otherwise():
    link = Link(np.random.default_rng(0))
    link.send("a", 0.0)
    link.send("b", 0.0)
    assert link.receive(0.0) == ["a", "b"] and link.receive(1.0) == []
    link.stalled = True
    link.send("c", 1.0)
    link.stalled = False
    assert link.receive(2.0) == [] and link.lost == 1


def test_a_slow_link_keeps_the_order():
    link = Link(np.random.default_rng(0))
    link.delay_s = 0.3
    link.send("slow", 0.0)
    link.delay_s = 0.0
    link.send("fast", 0.1)
    assert link.receive(0.29) == [] and link.receive(0.3) == ["slow", "fast"]


def test_a_lossy_link_loses_its_share():
    link = Link(np.random.default_rng(0))
    link.drop_probability = 0.8
    for _ in range(1000):
        link.send("x", 0.0)
    assert 150 < len(link.receive(0.0)) < 250


def test_a_frozen_encoder_stands_still_for_sensors_and_driver_and_recovers(standing):
    player, end = play(standing, "frozen_encoder", target="FR_calf_joint")
    before = standing.measure()["joint_position_rad"][2]
    for _ in range(10):
        standing.command(A1.stand_pose_rad - 0.15)
        standing.advance(0.05)
    measured, true = standing.measure()["joint_position_rad"][2], standing.data.qpos[7 + 2]
    assert measured == pytest.approx(before, abs=0.02)
    assert abs(true - measured) > 0.1  # the driver, which sees no progress, pushes the joint away
    end()
    assert standing.measure()["joint_position_rad"][2] == pytest.approx(true, abs=0.02)
    hold(standing, 0.5)


def test_a_push_moves_the_trunk_sideways(standing):
    hold(standing, 0.5)
    player, end = play(standing, "push", magnitude=200.0)
    standing.advance(0.1)
    sideways = abs(standing.truth().velocity_m_s[1])
    end()
    assert sideways > 0.5
    assert not standing.data.xfrc_applied.any()
    standing.reset("standing")


def test_a_leg_that_stops_gives_way(standing):
    player, end = play(standing, "leg_stops", target="RL")
    hold(standing, 0.3)
    assert np.abs(standing.data.ctrl[9:12]).max() == 0.0 and np.abs(standing.data.ctrl[:9]).max() > 1.0
    end()
    assert np.all(standing.driver.strength == 1.0)
    standing.reset("standing")


def test_an_imu_bias_turns_what_is_measured(standing):
    before = standing.measure()
    player, end = play(standing, "imu_bias", magnitude=1.0)
    after = standing.measure()
    np.testing.assert_allclose(after["angular_velocity_rad_s"] - before["angular_velocity_rad_s"], [1, 0, 0], atol=0.2)
    angle = 2 * np.arccos(abs(after["orientation_wxyz"] @ before["orientation_wxyz"]))
    assert angle == pytest.approx(0.5, abs=0.05)
    end()


def test_a_driver_without_timeout_holds_its_last_command():
    twin = make_twin(TwinConfig(), seed=0)
    twin.reset("standing")
    player, end = play(twin, "driver_without_timeout")
    hold(twin, 0.1)
    twin.advance(1.0)
    assert not twin.driver.damping
    end()
    twin.advance(0.01)
    assert twin.driver.damping


def test_what_happens_to_messages_temperature_and_names(standing):
    player, end = play(standing, "network_stall")
    assert player.to_robot.stalled and player.from_robot.stalled
    end()
    assert not player.to_robot.stalled
    player, end = play(standing, "state_stops")
    assert player.from_robot.stalled and not player.to_robot.stalled
    end()
    player, end = play(standing, "delayed_messages", magnitude=0.3)
    assert player.to_robot.delay_s == player.from_robot.delay_s == 0.3
    end()
    player, end = play(standing, "motor_over_temperature", target="FL_hip_joint")
    assert player.temperature_c.tolist() == [AMBIENT_C] * 3 + [100.0] + [AMBIENT_C] * 8
    end()
    assert set(player.temperature_c) == {AMBIENT_C}
    player, end = play(standing, "state_not_finite", target="RL_calf_joint")
    assert player.not_finite.tolist() == [11]
    end()
    assert not len(player.not_finite)
    player, end = play(standing, "swapped_joint_names", target="FR_hip_joint FR_calf_joint")
    assert player.joint_order.tolist() == [2, 1, 0, *range(3, 12)]
    end()
    assert player.joint_order.tolist() == list(range(12))


def test_random_incidents_come_at_their_rate_one_at_a_time_and_again_for_a_seed(standing):
    def run(seed):
        player = IncidentPlayer(standing, seed, random_per_minute=20.0)
        begun = []
        for tick in range(36_000):
            begun += [change.incident for change in player.update(tick * 0.05) if change.began]
            assert len(player.active) <= 1
        return begun

    begun = run(0)
    gaps_s = [after.start_s - before.end_s for before, after in zip(begun, begun[1:], strict=False)]
    assert np.mean(gaps_s) == pytest.approx(3.0, rel=0.2)
    assert {incident.kind for incident in begun} == set(kinds_of(standing))
    for incident in begun:
        low, _, high = kinds_of(standing)[incident.kind].duration_s
        assert low <= incident.duration_s <= high
    assert begun == run(0) != run(1)
    standing.push(np.zeros(3))


def test_a_script_comes_from_the_command_line_and_mistakes_are_named(standing):
    overrides = parse_overrides(
        ["twin.incidents=[{kind: push, start_s: 3}, {kind: leg_stops, start_s: 1, target: FL}]"]
    )
    script = resolve(overrides).twin.incidents
    player = IncidentPlayer(standing, 0, script)
    assert [change.incident.kind for change in player.update(2.0)] == ["leg_stops"]
    for fields, sentence in (
        ({"kind": "flood"}, "no incident 'flood'; choose one of dropped_messages"),
        ({"kind": "leg_stops", "target": "FR_hip_joint"}, "it takes leg of FR, FL, RR, RL"),
        ({"kind": "swapped_joint_names", "target": "FR_hip_joint FR_hip_joint"}, "it takes two joints"),
        ({"kind": "push", "duration_s": 0.0}, "duration above 0"),
        ({"kind": "dropped_messages", "magnitude": 2.0}, "choose 0 to 1"),
        ({"kind": "push", "magnitude": -150.0}, "-150, which does nothing; choose 0 or more"),
    ):
        with pytest.raises(UserError, match=sentence):
            IncidentPlayer(standing, 0, [IncidentConfig(start_s=1.0, **fields)])
    with pytest.raises(UserError, match="random_incidents_per_minute"):
        IncidentPlayer(standing, 0, random_per_minute=-1.0)
