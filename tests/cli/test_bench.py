import functools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from typer.testing import CliRunner

from daydreamer.cli.bench_workloads import find_workload
from daydreamer.cli.main import app
from daydreamer.errors import UserError
from daydreamer.learner.agent import Agent
from daydreamer.replay import APPEND_SIZES, Replay


def figures(*arguments):
    """What the command says, in this process, which has imported already what it takes."""
    result = CliRunner().invoke(app, ["bench", *arguments, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_figures_for_programs():
    """In a process of its own, as programs start it."""
    command = [sys.executable, "-m", "daydreamer.cli.main", "bench", "replay", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=550)
    assert result.returncode == 0, result.stderr
    measured = json.loads(result.stdout)
    assert measured["benchmark"] == "replay" and measured["log_appends_per_s"] > 0
    assert measured["workload"] == "default"
    assert measured["device"] and measured["jax"]


@pytest.mark.long  # it compiles; that the reference can be traced is looked at below, and the command above
def test_the_learner_is_timed():
    measured = figures("learner", "--workload", "tiny", "--seconds", "0.1")
    assert measured["workload"] == "tiny"
    assert measured["batch"] == "4x8" and measured["imagined"] == "16 starts x 5"
    rate = measured["gradient_steps_per_s"]
    assert measured["windows"] >= 3
    assert 0 < measured["gradient_steps_per_s_slowest"] <= rate <= measured["gradient_steps_per_s_fastest"]
    assert measured["replayed_steps_per_s"] == pytest.approx(rate * 32)
    assert measured["imagined_steps_per_s"] == pytest.approx(rate * 80)
    operations_gflop_s = rate * measured["matmul_gflop_per_gradient_step"]
    assert operations_gflop_s == pytest.approx(measured["matmul_peak_share"] * measured["matmul_peak_gflop_s"])


def test_the_reference_is_what_learners_are_compared_on():
    """Traced and not compiled, which takes minutes."""
    workload = find_workload("reference")
    agent = Agent(workload.spec, workload.model, workload.learner)
    state = jax.eval_shape(functools.partial(agent.initialize, 0))
    replay = jax.eval_shape(lambda: Replay(workload.spec, APPEND_SIZES[-1]).state)
    assert 500_000 < sum(leaf.size for leaf in jax.tree.leaves(state.parameters)) < 700_000
    assert agent.replayed_per_update == 16 * 64 and agent.imagined_per_update == 1024 * 15
    after, metrics = jax.eval_shape(agent.update, state, replay)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert metrics["loss/total"].shape == ()


@pytest.mark.long
def test_another_workload_can_be_chosen():
    measured = figures("actor", "--workload", "tiny")
    assert measured["workload"] == "tiny" and measured["policy_p99_ms"] > 0


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (["flying"], "learner, actor, replay"),
        (["learner", "--workload", "huge"], "reference, default, tiny, image"),
        (["learner", "--seconds", "0"], "positive"),
    ],
)
def test_a_mistake_is_one_clear_sentence(arguments, choices):
    """Which a process then shows as one line, see `cli/test_command_line.py`."""
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert isinstance(result.exception, UserError)
    assert len(str(result.exception).splitlines()) == 1 and choices in str(result.exception)


def test_needs_neither_simulator_nor_ros():
    program = "import daydreamer.cli.bench, sys; print({'mujoco', 'dm_control', 'rclpy'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert result.stdout.strip() == "set()"
