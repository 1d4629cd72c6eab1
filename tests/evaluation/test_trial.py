"""What one robot comes to, with a real policy in a real twin; and how it is counted."""

import dataclasses

import msgspec
import numpy as np
import pytest

from daydreamer.config import resolve
from daydreamer.errors import NoOpenGL
from daydreamer.evaluation.contenders import find_contenders, trials_of
from daydreamer.evaluation.measures import measures_of
from daydreamer.evaluation.trial import Record, Trial, describe_drawn, run_trial
from daydreamer.policy.policy import Policy, flatten_parameters
from daydreamer.policy.snapshot import SnapshotMetadata, write_snapshot
from daydreamer.presentation import Figure, Occurrence, Presentation
from daydreamer.robots.a1 import twin
from daydreamer.robots.registry import make_task


@pytest.fixture(scope="module")
def trials(learned, tmp_path_factory):
    """Of one robot as published, and of one drawn at random."""
    folder = tmp_path_factory.mktemp("copies")
    contenders = find_contenders([learned.path], folder, version="best", samples=False, overrides=(), fitted=None)
    return trials_of(contenders, robots=1, episodes=2, seconds=2.0, seed=7, is_fitted=False)[:2]


def test_a_robot_does_its_episodes_and_the_same_again_for_a_seed(trials):
    nominal, random = outcomes = [run_trial(trial) for trial in trials]
    for outcome in outcomes:
        assert outcome.problem == "" and outcome.robot_minutes == pytest.approx(4.0 / 60)
        assert {measure.key for measure in measures_of(trials[0].spec, trials[0].presentation)} >= outcome.values.keys()
        assert 4.0 < outcome.values["reward"] < 14.0 and outcome.values["power_w"] > 0.1
        assert 0.0 < outcome.values["action_change_percent"] < 100.0
    assert nominal.drawn is None and nominal.values != random.values
    assert random.drawn == dataclasses.asdict(twin.make_twin(trials[1].config.twin, 7).drawn)
    assert run_trial(trials[1]) == random


def test_a_robot_whose_physics_break_down_is_a_finding(trials, monkeypatch):
    def make_thrown_twin(config, seed, make_twin=twin.make_twin):
        thrown = make_twin(config, seed)
        thrown.data.qvel[:] = 1e12
        return thrown

    monkeypatch.setattr(twin, "make_twin", make_thrown_twin)
    outcome = run_trial(trials[0])
    assert "unstable" in outcome.problem and not outcome.values


def test_a_policy_with_a_camera_needs_opengl(tmp_path, monkeypatch):
    small = {"deterministic": 8, "hidden": 8, "stochastic": 2, "classes": 2, "units": 8, "patch_units": 4}
    config = resolve({"twin": {"camera": True}, "model": small})
    task = make_task(config)
    policy = Policy.untrained(task.spec, config.model)
    metadata = SnapshotMetadata(
        version=1, gradient_step=1, env_steps=1, robot_spec=task.spec, model=msgspec.to_builtins(config.model)
    )
    arrays = {name: np.asarray(value) for name, value in flatten_parameters(policy.parameters).items()}
    trial = Trial(
        contender=0,
        kind="nominal",
        config=config,
        spec=task.spec,
        presentation=task.presentation,
        snapshot=str(write_snapshot(tmp_path, arrays, metadata)),
        episodes=1,
        episode_steps=1,
    )
    monkeypatch.setenv("MUJOCO_GL", "none")
    with pytest.raises(NoOpenGL, match="MUJOCO_GL"):
        run_trial(trial)


@dataclasses.dataclass
class Truth:
    position_m: np.ndarray
    quantities: dict


def test_what_happens_is_counted_as_the_simulator_knows_it(record_session):
    presentation = Presentation(
        figures=(Figure(quantity="info/forward_velocity_m_s", name="speed"),),
        occurrences=(Occurrence(did="fell over", quantity="info/up_z", start=0.7, to=0.0),),
    )
    recorder = record_session()
    random, truth = np.random.default_rng(0), Truth(np.zeros(3), {})
    record = Record(recorder.spec, presentation, lambda: truth)
    record.on_event("episode_end", ending="success")
    for sequence in range(500):  # 25 s
        step = recorder.step(1, sequence, random)
        step.action_requested = np.full(12, 0.1 if sequence % 2 else -0.1, np.float32)
        step.policy_version = 0 if sequence < 100 else 3
        lies = sequence % 125 >= 100
        truth.quantities = {"info/up_z": -1.0 if lies else 1.0, "info/forward_velocity_m_s": 0.5}
        # Half a metre a second, and swaying.
        truth.position_m = np.array((0.025 * sequence, 0.05 * np.sin(np.pi * sequence / 2), 0.3))
        record.on_step(step)
    assert record.episodes == 2
    values = record.values()
    assert values["fell_over_per_minute"] == pytest.approx(4 / 25 * 60)
    assert values["info/forward_velocity_m_s"] == 0.5  # what the robot believes is 0.3
    assert values["action_change_percent"] == pytest.approx(10.0)
    assert (values["by_policy_percent"], values["succeeded_percent"]) == (80.0, 50.0)
    assert record.distance_m() == pytest.approx(0.5 * 24)


def test_a_drawn_robot_in_words():
    drawn = {
        "mass_scale": (0.93, 1.08),
        "payload_kg": 0.83,
        "payload_forward_m": 0.03,
        "payload_left_m": -0.01,
        "friction": 0.42,
        "motor_strength": (1.0, 0.86),
        "command_latency_s": 0.017,
        "noise_scale": 1.9,
    }
    words = describe_drawn(drawn, ("hip", "knee"))
    assert "payload 0.83 kg (+0.03 m forward" in words and "weakest motor knee 86% (mean 93%)" in words
    assert "friction 0.42" in words and "latency 17 ms, 1.9 times the noise" in words
    wheels = {name: drawn[name] for name in ("motor_strength", "command_latency_s", "noise_scale")}
    assert describe_drawn(wheels, ()) == "weakest motor 86% (mean 93%), latency 17 ms, 1.9 times the noise"
