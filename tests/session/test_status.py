"""What `daydreamer status --json` says, from what processes and logs have left."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from daydreamer.config import SessionConfig
from daydreamer.experience.log import ExperienceWriter, log_path
from daydreamer.experience.step import Step
from daydreamer.session import status
from daydreamer.session.directory import Session
from daydreamer.session.status import ActorStatus, StatusWriter, read_process_status, read_status
from daydreamer.spec import RobotSpec, Space
from daydreamer.texts import unseal_json

SPEC = RobotSpec(
    robot="test_car",
    task="drive",
    control_rate_hz=10.0,
    episode_steps=100,
    joint_names=(),
    foot_names=(),
    observation={"vector": Space((1,))},
    action=Space((1,), low=-1.0, high=1.0),
    reward_terms=(),
)
FIELDS = """state env_steps robot_seconds episodes gradient_steps imagined_steps imagined_per_real_step train_ratio
    policy_version policy_age_s control_rate_hz deadline_misses actor_step_ms append_to_replay_ms replay_steps
    last_logged_sequence safety_events reward_recent figures_recent milestones_s""".split()


@pytest.fixture
def session(tmp_path):
    return Session.create(tmp_path / "session", SessionConfig(), SPEC)


def log_steps(session, life, count, close=True):
    one = np.zeros(1, np.float32)
    writer = ExperienceWriter(session.experience, SPEC, life, fsync_period_s=10)
    for sequence in range(count):
        flags = (False, False, False, 0, False, 0)
        writer.append(Step(life, sequence, 0, 0, {"vector": one}, one, one, 0.0, {}, {}, *flags, 0.0))
    content = writer.path.read_bytes()
    writer.close()
    if not close:
        writer.path.write_bytes(content)


def run_child(session, script):
    """A process of the session that ends without a word after `script`."""
    code = (
        "import os, sys; from daydreamer.session.directory import Session\n"
        "from daydreamer.session.status import StatusWriter\nsession = Session.open(sys.argv[1])\n" + script
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code, str(session.path)], env=environment, check=True)


def test_a_new_session_has_all_fields_and_nothing_in_them(session):
    status = read_status(session)
    assert set(FIELDS) <= status.keys()
    assert status["state"] == "stopped" and status["last_logged_sequence"] == {}
    assert status["actor_step_ms"] == {"p50": None, "p99": None, "max": None}
    assert status["env_steps"] is None and status["policy_version"] is None and status["problems"] == []
    json.dumps(status, allow_nan=False)


def test_everything_is_assembled(session):
    log_steps(session, 1, 30)
    log_steps(session, 2, 20, close=False)
    StatusWriter(session, "actor").write(
        {
            "state": "running",
            "env_steps": 49,
            "episodes": 2,
            "control_rate_hz": np.float32(9.5),
            "deadline_misses": 1,
            "actor_step_ms": {"p50": 1.0, "p99": 2.0, "max": 3.0},
            "policy_version": 4,
            "policy_age_s": 2.5,
            "safety_events": 0,
            "reward_recent": float("nan"),
            "figures_recent": {"info/speed_m_s": 0.2},
            "milestones_s": {"upright": np.float64(4.5)},
            "actor_life": 2,
        }
    )
    StatusWriter(session, "learner").write(
        {
            "state": "running",
            "gradient_steps": 10,
            "imagined_steps": 10_000,
            "train_ratio": 32.0,
            "replay_steps": 48,
            "append_to_replay_ms": {"p50": 20.0, "p99": 40.0, "max": 50.0},
        }
    )
    status = read_status(session)
    expected = {
        "state": "running",
        "env_steps": 50,
        "robot_seconds": 5.0,
        "episodes": 2,
        "gradient_steps": 10,
        "imagined_steps": 10_000,
        "imagined_per_real_step": 200.0,
        "train_ratio": 32.0,
        "policy_version": 4,
        "policy_age_s": 2.5,
        "control_rate_hz": 9.5,
        "deadline_misses": 1,
        "actor_step_ms": {"p50": 1.0, "p99": 2.0, "max": 3.0},
        "append_to_replay_ms": {"p50": 20.0, "p99": 40.0, "max": 50.0},
        "replay_steps": 48,
        "last_logged_sequence": {"1": 29, "2": 19},
        "safety_events": 0,
        "reward_recent": None,
        "figures_recent": {"info/speed_m_s": 0.2},
        "milestones_s": {"upright": 4.5},
    }
    assert {name: status[name] for name in expected} == expected
    assert status["processes"]["actor"]["pid"] == os.getpid()
    json.dumps(status, allow_nan=False)


def test_the_speed_that_earlier_versions_reported_is_a_figure(session):
    StatusWriter(session, "actor").write({"state": "stopped", "forward_velocity_recent": 0.3})
    assert read_status(session)["figures_recent"] == {"info/forward_velocity_m_s": 0.3}


@pytest.mark.parametrize("fields", [{"policy_versions": 1}, {"episodes": "many"}, {"state": "runing"}])
def test_a_misspelt_field_fails_where_it_is_written(session, fields):
    with pytest.raises(msgspec.ValidationError):
        StatusWriter(session, "actor").write({"state": "running"} | fields)
    assert not (session.status / "actor.json").exists()


def test_typed_statuses_are_written_too(session):
    StatusWriter(session, "actor").write(ActorStatus(state="running", episodes=3))
    assert read_status(session)["episodes"] == 3


def test_a_process_that_is_gone_without_a_word_has_crashed(session):
    StatusWriter(session, "actor").write({"state": "running"})
    run_child(session, "StatusWriter(session, 'learner').write({'state': 'running', 'gradient_steps': 5}); os._exit(0)")
    status = read_status(session)
    assert status["state"] == "crashed" and status["gradient_steps"] == 5
    assert (status["processes"]["learner"]["state"], status["processes"]["actor"]["state"]) == ("crashed", "running")
    # Its successor takes its place.
    StatusWriter(session, "learner").write({"state": "starting"})
    assert read_status(session)["state"] == "running"


def test_a_process_that_said_so_has_stopped(session):
    run_child(session, "StatusWriter(session, 'learner').write({'state': 'stopped'})")
    assert read_status(session)["state"] == "stopped"


@pytest.mark.parametrize(
    "change", [{"process_start": 1}, {"boot_id": "of another machine, or of this one before it was started again"}]
)
def test_another_process_with_the_same_pid_does_not_count(session, change):
    StatusWriter(session, "actor").write({"state": "running"})
    assert read_status(session)["state"] == "running"
    path = session.status / "actor.json"
    path.write_text(json.dumps(json.loads(unseal_json(path.read_bytes())) | change))
    assert read_status(session)["state"] == "crashed"


@pytest.mark.parametrize("set_by_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_changes_neither_state_nor_age(session, monkeypatch, set_by_s):
    StatusWriter(session, "actor").write({"state": "running"})
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + set_by_s)
    status = read_status(session)
    assert status["state"] == "running"
    assert 0 <= status["processes"]["actor"]["heartbeat_age_s"] < 600
    StatusWriter(session, "actor").write({"state": "running"})
    monkeypatch.undo()
    status = read_status(session)
    assert status["state"] == "running"
    assert 0 <= status["processes"]["actor"]["heartbeat_age_s"] < 600


def test_damaged_files_are_reported_and_the_rest_is_read(session):
    log_steps(session, 1, 3)
    log_path(session.experience, 2).write_bytes(b"noise" * 10)
    (session.status / "actor.json").write_bytes(b"")
    StatusWriter(session, "learner").write({"state": "running", "replay_steps": 3})
    status = read_status(session)
    assert (status["env_steps"], status["replay_steps"], status["episodes"]) == (3, 3, None)
    assert len(status["problems"]) == 2 and status["state"] == "running"


def test_a_process_in_another_container_exists_as_long_as_it_reports(session, monkeypatch):
    StatusWriter(session, "actor").write(ActorStatus(state="running"))
    monkeypatch.setattr(status, "_pid_namespace", lambda: 7)
    assert read_status(session)["state"] == "running"
    assert not status.has_ended(read_process_status(session, "actor"))
    monkeypatch.setattr(status, "SILENT_S", 0.0)
    assert read_status(session)["state"] == "crashed"
