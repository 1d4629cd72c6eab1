"""The benchmark scripts for real, with networks small enough for a test."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daydreamer.errors import UserError
from daydreamer.session.new import configure, new_session

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STEPS = 400
# Random actions that are held for one step hardly move the robot: it stays on its back, and does not get up by luck.
STILL = "actor.random_hold_s=0.05"
OVERRIDES = ["learner.train_ratio=8", STILL]
TINY = ("--steps", STEPS, "--train-ratio", 8, "--preset", "tiny", "--seeds", 3)
SETTINGS = (*TINY, "--set", STILL)
NEVER = {"upright": None, "standing": None, "walking": None}


def script(name, *arguments):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *map(str, arguments)],
        cwd=BENCHMARKS.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=550,
    )


@pytest.fixture
def curves(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import curves

    return curves


@pytest.fixture(scope="module")
def trained(tmp_path_factory, learner_compiled):
    """A directory in which a seed that had been stopped before its end was trained."""
    out = tmp_path_factory.mktemp("curves")
    config = configure(robot="a1", minutes=STEPS / 1200, seed=3, preset="tiny", overrides=OVERRIDES)
    new_session(out / "seed3", config)
    result = script("learning_curves.py", "--out", out, *SETTINGS)
    assert result.returncode == 0, result.stderr
    assert "begins anew" in result.stdout
    return out


@pytest.mark.long
def test_a_trained_seed_leaves_a_curve_and_a_summary(trained):
    with open(trained / "seed3.csv", newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert [row["robot_minutes"] for row in rows] == pytest.approx([1 / 6, 1 / 3], abs=1e-3)
    assert [row["gradient_steps"] for row in rows] == [50, 100]
    assert rows[0]["reward"] == pytest.approx(5.0, abs=0.3)
    assert 0 < rows[0]["wall_s"] < rows[1]["wall_s"]
    summary = json.loads((trained / "summary.json").read_text())
    command = f"daydreamer train walk --steps 400 --train-ratio 8 --preset tiny --set {STILL} --seed SEED --out DIR"
    assert summary["command"] == command
    assert summary["environment"] == {"NPROC": str(len(os.sched_getaffinity(0)))}
    seed = summary["seeds"]["3"]
    assert seed["milestones_minutes"] == NEVER and seed["gradient_steps"] == 100
    assert seed["reward_of_last_2000_steps"] == pytest.approx(np.mean([row["reward"] for row in rows]), abs=1e-3)
    assert summary["over_seeds"]["gradient_steps"] == {"median": 100, "lowest": 100, "highest": 100}
    assert f"of {STEPS} steps" in (trained / "seed3.log").read_text()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, learner_compiled):
    """A directory with a seed that was trained to its end."""
    out = tmp_path_factory.mktemp("finished")
    shutil.copytree(learner_compiled, out / "seed3")
    result = script("learning_curves.py", "--out", out, *TINY)
    assert result.returncode == 0, result.stderr
    assert "exit status" not in result.stdout and "| daydreamer | 1 | 0.3" in result.stdout, "it is not trained again"
    return out


def test_a_finished_seed_leaves_a_curve_and_a_summary(finished):
    with open(finished / "seed3.csv", newline="") as file:
        assert [float(row["gradient_steps"]) for row in csv.DictReader(file)] == [50, 100]
    assert json.loads((finished / "summary.json").read_text())["seeds"]["3"]["gradient_steps"] == 100


def test_sessions_of_other_settings_are_not_mixed(finished):
    result = script("learning_curves.py", "--out", finished, *TINY, "--set", "learner.batch_size=2")
    assert result.returncode == 2 and "trained with other settings" in result.stderr


def test_a_session_that_is_being_trained_is_left_alone(tmp_path):
    config = configure(robot="a1", minutes=STEPS / 1200, seed=3, preset="tiny", overrides=OVERRIDES)
    session = new_session(tmp_path / "seed3", config)
    with session.lock():
        result = script("learning_curves.py", "--out", tmp_path, *SETTINGS)
    assert result.returncode == 2 and "already in use" in result.stderr
    assert session.path.exists()


@pytest.mark.parametrize(
    ("values", "expected", "text"),
    [
        ([5.0, 8.0, None], (8.0, 5.0, None), "8.0 [5.0, not within]"),
        ([5.0, None, None], (None, 5.0, None), "not within [5.0, not within]"),
        ([None, None], (None, None, None), "not within"),
        ([4.0, 2.0], (3.0, 2.0, 4.0), "3.0 [2.0, 4.0]"),
        ([4.0, None], (None, 4.0, None), "not within [4.0, not within]"),
    ],
)
def test_what_was_not_reached_counts_as_later_than_anything(curves, values, expected, text):
    spread = curves.Spread.of(values)
    assert (spread.median, spread.lowest, spread.highest) == expected
    assert spread.describe() == text


def write_peer(path, peer, seed, upright_minutes):
    rows = [
        {
            "robot_minutes": round(row / 6, 4),
            "reward": 5.0 + row / 10,
            "true_forward_m_s": 0.01 * row,
            "wall_s": 20.0 * row,
            "updates": row,
        }
        for row in range(1, 61)
    ]
    content = {"peer": peer, "seed": seed, "milestones_minutes": NEVER | {"upright": upright_minutes}, "curve": rows}
    path.write_text(json.dumps(content))


@pytest.fixture
def peers(tmp_path):
    """Three runs of one peer and one of another."""
    for seed, upright_minutes in enumerate((2.0, 7.0, None)):
        write_peer(tmp_path / f"sac_{seed}.json", "sac", seed, upright_minutes)
    write_peer(tmp_path / "droq_0.json", "droq", 0, None)
    return tmp_path


def test_the_table_has_a_row_for_each_learner(finished, peers):
    result = script("milestone_table.py", f"daydreamer={finished}", f"SAC={peers}/sac_*.json")
    assert result.returncode == 0, result.stderr
    header, _, own, sac = [line.strip("| ").split(" | ") for line in result.stdout.splitlines()]
    assert own[:2] == ["daydreamer", "1"] and len(own) == len(header)
    row = dict(zip(header, sac, strict=True))
    assert row["upright, min"] == "7.0 [2.0, not within]" and row["walking, min"] == "not within"
    assert row["reward at the end"] == "10.55 [10.55, 10.55]" and row["wall s per robot min"] == "120 [120, 120]"


def test_runs_of_two_learners_are_not_mixed(curves, peers):
    with pytest.raises(UserError, match="droq, sac"):
        curves.read_runs(str(peers))
    with pytest.raises(UserError, match="holds no runs"):
        curves.read_runs(str(peers / "crossq_*.json"))


def test_the_picture_is_drawn(finished, peers):
    pytest.importorskip("matplotlib")
    picture = peers / "curves.svg"
    arguments = (f"daydreamer={finished}", f"SAC={peers}/sac_*.json")
    result = script("plot_curves.py", "--out", picture, *arguments)
    assert result.returncode == 0, result.stderr
    assert picture.read_text().startswith("<?xml")
    assert script("plot_curves.py", "--out", picture, "SAC").returncode == 2
