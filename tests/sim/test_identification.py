import dataclasses

import numpy as np
import pytest

from daydreamer.config import RandomisationConfig, TwinConfig
from daydreamer.contract.signals import ANGULAR_VELOCITY, JOINT_POSITION, JOINT_VELOCITY, ORIENTATION
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from sim import identification
from sim.description import Randomised
from sim.identification import Finding, Parameter, Rehearsal, Search, parameters_of, twin_config
from sim.logged_motion import COMMANDS_BEFORE, STRETCH_STEPS, LoggedMotion

PERIOD_S = 0.05
HIDDEN = {"payload_kg": 1.5, "friction": 0.5, "motor_strength": 0.9, "command_latency_s": 0.02, "mass_scale": 1.0}


@pytest.fixture(scope="module")
def motion():
    """A hidden robot that stands and sways for 40 s, as its own sensors and commands say."""
    twin = make_twin(twin_config(TwinConfig(), {name: (x, x) for name, x in HIDDEN.items()}), 3)
    twin.reset("standing")
    random = np.random.default_rng(0)
    sway = 0.12 * random.normal(size=(2, 12))
    rows = []
    for step in range(800):
        values = twin.measure().values
        angle = 2 * np.pi * 1.7 * step * PERIOD_S
        target = A1.stand_pose_rad + sway[0] * np.sin(angle) + sway[1] * np.cos(angle)
        names = (JOINT_POSITION, JOINT_VELOCITY, ORIENTATION, ANGULAR_VELOCITY)
        rows.append((*(values[name] for name in names), target))
        twin.command(target)
        twin.advance(PERIOD_S)
    twin.close()
    position, velocity, orientation, turning, sent = map(np.array, zip(*rows, strict=True))
    follows = np.arange(len(rows)) > 0
    return LoggedMotion(position, velocity, orientation, turning, sent, follows, PERIOD_S)


def cost(motion, values):
    search = Search(make_twin, TwinConfig(), motion, motion.stretches()[:60], 0)
    return np.log1p(np.square(search.errors(HIDDEN | values, motion.stretches()[::12]))).mean()


def test_stretches_are_where_the_robot_was_driven_without_a_gap(motion):
    starts = motion.stretches()
    assert len(starts) > 600
    follows = motion.follows.copy()
    follows[100] = False
    sent = motion.sent_rad.copy()
    sent[200] = np.nan
    still = motion.sent_rad.copy()
    still[300:400] = still[300]
    assert not {98, 99, 100} & set(dataclasses.replace(motion, follows=follows).stretches())
    without = dataclasses.replace(motion, sent_rad=sent).stretches()
    assert not set(range(200 - STRETCH_STEPS, 201 + COMMANDS_BEFORE)) & set(without)
    assert not set(range(310, 390)) & set(dataclasses.replace(motion, sent_rad=still).stretches())


def test_a_robot_that_lies_has_no_stretches(motion):
    lying = dataclasses.replace(motion, orientation_wxyz=np.tile((0.0, 1.0, 0.0, 0.0), (len(motion), 1)))
    assert not len(lying.stretches())


def test_what_is_held_out_lies_apart(motion):
    starts = motion.stretches()
    held_out = motion.held_out(starts * 10)  # as if the log were of 400 s
    assert 0.2 < held_out.mean() < 0.45 and np.abs(np.diff(held_out.astype(int))).sum() < 10


def test_the_hidden_robot_itself_repeats_its_log_best(motion):
    known = cost(motion, {})
    for name, wrong in (("friction", 1.0), ("command_latency_s", 0.004), ("damping_scale", 1.5)):
        assert cost(motion, {name: wrong}) > known, name
    assert cost(motion, {"payload_kg": 0.0, "motor_strength": 1.0}) > known


def test_a_rehearsal_begins_where_the_robot_was(motion):
    twin = make_twin(TwinConfig(), 0)
    rehearsal = Rehearsal(twin, motion)
    start = int(motion.stretches()[50])
    rehearsal._place(start)
    np.testing.assert_allclose(twin.data.qpos[twin.position_at], motion.position_rad[start])
    np.testing.assert_allclose(twin.data.qvel[3:6], motion.angular_velocity_rad_s[start])
    feet = twin.data.geom_xpos[rehearsal._feet, 2] - twin.model.geom_size[rehearsal._feet, 0]
    assert feet.min() == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(rehearsal.errors(start)).all()
    twin.close()


@pytest.mark.long
def test_a_search_finds_a_twin_that_repeats_the_log_better(motion, monkeypatch):
    """Also stretches that it has not seen; the figures themselves take a whole search, see benchmarks."""
    monkeypatch.setattr(identification, "GENERATIONS", 5)
    monkeypatch.setattr(identification, "RESAMPLED", 20)
    told = []
    search = Search(make_twin, TwinConfig(), motion, motion.stretches()[::25], seed=1)
    findings = search.run(lambda generation, error: told.append((generation, error)))
    assert [generation for generation, _ in told] == list(range(1, 6)) and told[-1][1] < told[0][1]
    assert all(finding.interval[0] <= finding.value <= finding.interval[1] for finding in findings)
    unseen = motion.stretches()[12::25]
    found, published = (
        np.log1p(np.square(search.errors(values, unseen))).mean()
        for values in ({finding.parameter.name: finding.value for finding in findings}, {})
    )
    assert found < published


def test_a_wide_interval_is_no_knowledge():
    parameter = Parameter("friction", 0.2, 1.4, 0.8)
    assert Finding(parameter, 0.5, (0.4, 0.6)).is_known and not Finding(parameter, 0.5, (0.3, 1.2)).is_known


def test_only_what_a_twin_has_is_looked_for(motion):
    twin = make_twin(TwinConfig(), 0)
    assert {parameter.name for parameter in parameters_of(twin)} == HIDDEN.keys() | {"damping_scale"}
    twin.description = dataclasses.replace(twin.description, randomised=Randomised())
    assert not {parameter.name for parameter in parameters_of(twin)} & {"payload_kg", "friction", "mass_scale"}
    with pytest.raises(UserError, match="feet"):
        Rehearsal(twin, motion)
    twin.close()


def test_intervals_become_what_sessions_draw_from():
    config = twin_config(TwinConfig(), {"friction": (0.5, 0.6), "damping_scale": (1.0, 1.2)})
    assert config.randomisation == RandomisationConfig(
        enabled=True,
        mass_scale=(1.0, 1.0),
        payload_kg=(0.0, 0.0),
        payload_offset_m=(0.0, 0.0),
        friction=(0.5, 0.6),
        motor_strength=(1.0, 1.0),
        command_latency_s=(0.004, 0.004),
        noise_scale=(1.0, 1.0),
    )
    assert config.damping_upper_n_m_s_rad == pytest.approx(2.2)


def test_noise_is_told_by_joints_at_rest(motion):
    assert motion.position_noise_rad() is None  # it swayed all the time
    random = np.random.default_rng(0)
    position = 0.002 * random.normal(size=(len(motion), 12))
    resting = dataclasses.replace(motion, position_rad=position, velocity_rad_s=np.zeros_like(position))
    assert resting.position_noise_rad() == pytest.approx(0.002, rel=0.1)
