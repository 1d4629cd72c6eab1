"""Steps as a flat table, in a file and in a notebook."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import daydreamer
from daydreamer.cli.export import export
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail

EXAMPLE = Path(__file__).parents[2] / "examples" / "notebook.py"


@pytest.fixture
def recorder(record_session):
    """Two lives of a minute, with events and metrics."""
    recorder = record_session()
    for _ in range(2):
        recorder.log(60.0)
    recorder.events.record("milestone", "actor", name="upright", robot_seconds=12.0)
    recorder.write_metrics(2.0)
    return recorder


def to_csv(session, path):
    export(session.path, "csv", path, None, False)
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_step_and_a_column_for_each_number(recorder, tmp_path, capsys):
    rows = to_csv(recorder.session, tmp_path / "steps.csv")
    assert f"{tmp_path / 'steps.csv'} has 2400 steps." in capsys.readouterr().out.replace("\n", "")
    steps = ExperienceTail(recorder.session.experience, recorder.spec).read()
    assert len(rows) == len(steps) == 2400
    for index in (0, 1199, 1200, 2399):
        row, step = rows[index], steps[index]
        assert float(row["robot_s"]) == pytest.approx((index + 1) / 20)
        assert (int(row["actor_life"]), int(row["sequence"])) == (step.actor_life, step.sequence)
        assert int(row["wall_ns"]) == step.wall_ns and float(row["latency_s"]) == step.latency_s
        for key, values in step.observation.items():
            told = [np.float32(row[f"observation_{key}_{n}"]) for n in range(values.size)]
            np.testing.assert_array_equal(told, values)
        told = [np.float32(row[f"action_sent_{name}"]) for name in recorder.spec.joint_names]
        np.testing.assert_array_equal(told, step.action_sent)
        assert float(row["reward"]) == step.reward
        assert float(row["info_forward_velocity_m_s"]) == step.info["forward_velocity_m_s"]
        assert row["is_first"] == str(int(step.is_first))


def test_a_robot_whose_joints_were_damped_has_numbers_that_are_none(record_session, tmp_path):
    recorder = record_session()

    def damp(step):
        step.action_sent = np.full_like(step.action_sent, np.nan)

    recorder.log(1.0, damp)
    rows = to_csv(recorder.session, tmp_path / "steps.csv")
    assert {rows[0][f"action_sent_{name}"] for name in recorder.spec.joint_names} == {"nan"}


def test_a_session_without_steps_is_a_heading(record_session, tmp_path):
    assert to_csv(record_session().session, tmp_path / "steps.csv") == []
    assert (tmp_path / "steps.csv").read_text().startswith("robot_s,actor_life,")


def test_what_is_damaged_is_said_and_left_out(recorder, tmp_path, capsys):
    log = recorder.session.experience / "actor-0001.mcap"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    assert len(to_csv(recorder.session, tmp_path / "steps.csv")) == 2399
    assert "is damaged" in capsys.readouterr().out


def test_what_cannot_be_is_refused_and_nothing_is_left(recorder, tmp_path):
    session = recorder.session
    for arguments, words in (
        ((session.path, "pickle", tmp_path / "x", None, False), "no format 'pickle'.*onnx, csv, lerobot"),
        ((session.path, "csv", tmp_path / "x", "3", False), "--version and --sampled are of policies"),
        ((session.path, "csv", tmp_path / "no" / "x", None, False), "cannot be written.*--out"),
        ((session.path, "onnx", tmp_path / "x", None, False), "has no policy yet.*daydreamer resume"),
        ((tmp_path, "csv", tmp_path / "x", None, False), "not a session"),
    ):
        with pytest.raises(UserError, match=words):
            export(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["session"]


def test_a_notebook_has_steps_events_and_metrics(recorder):
    pytest.importorskip("pandas")
    session = daydreamer.load(recorder.session.path)
    assert len(session.steps) == 2400 and session.steps.reward.mean() == 12.0
    assert session.steps.is_first.dtype == bool and session.steps.observation_gravity_up_2.dtype == np.float32
    assert "observation_joint_position_11" in session.steps and session.steps.robot_s.iloc[-1] == pytest.approx(120.0)
    assert list(session.events.kind) == ["milestone"]
    tags = session.metrics.tag.unique()
    assert "actor/reward" in tags and len(session.metrics[session.metrics.tag == "actor/reward"]) == 12
    assert session.columns.observation["joint_position"].shape == (2400, 12)
    assert session.config == recorder.session.config and session.status["env_steps"] == 2400
    assert session.problems == [] and "a1 walk, twin" in repr(session)


def test_without_pandas_a_notebook_is_told_what_to_install(recorder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    session = daydreamer.load(recorder.session.path)
    with pytest.raises(UserError, match=r"pip install 'daydreamer\[notebook\]'.*\.columns"):
        _ = session.steps
    assert len(session.columns) == 2400


def test_a_new_session_is_empty_everywhere(record_session):
    pytest.importorskip("pandas")
    session = daydreamer.load(record_session().session.path)
    assert len(session.steps) == len(session.events) == len(session.metrics) == 0
    assert {"reward", "is_terminal"} <= set(session.steps) and list(session.metrics) == [
        "tag",
        "wall_s",
        "step",
        "value",
    ]


def test_the_example_runs(recorder, tmp_path):
    pytest.importorskip("pandas")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MPLBACKEND": "Agg"}
    command = [sys.executable, str(EXAMPLE), str(recorder.session.path)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "2400 steps, 2.0 robot minutes" in result.stdout and "milestone" in result.stdout
    assert (tmp_path / "gait.png").stat().st_size > 10_000
