"""`daydreamer bench`: what this machine can do. Free of MuJoCo and ROS, so that it runs on any GPU machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from rich.console import Console

from daydreamer.actor.policy import Policy
from daydreamer.compilation import keep_compilations
from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.errors import UserError
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.step import Step
from daydreamer.experience.tail import LogTail
from daydreamer.learner.agent import Agent
from daydreamer.replay import APPEND_SIZES, Replay
from daydreamer.spec import RobotSpec, Space
from daydreamer.telemetry.timing import LatencyStatistics

MEASURE_S = 10.0
WARM_UP = 3
POLICY_CALLS = 2000
LOG_STEPS = 20_000
VECTOR, ACTION = 42, 12

_SPEC = RobotSpec(
    robot="bench",
    task="bench",
    control_rate_hz=20.0,
    episode_steps=250,
    joint_names=tuple(f"joint_{n}" for n in range(ACTION)),
    foot_names=(),
    observation={"vector": Space((VECTOR,))},
    action=Space((ACTION,), low=-1.0, high=1.0),
    reward_terms=("reward",),
)


def bench(what: str, *, as_json: bool) -> None:
    """Measures and prints.

    Raises:
      UserError: no such benchmark.
    """
    benchmarks = {"learner": bench_learner, "actor": bench_actor, "replay": bench_replay}
    if what not in benchmarks:
        raise UserError(f"There is no benchmark '{what}'; choose one of {', '.join(benchmarks)}.")
    keep_compilations()
    device = jax.devices()[0]
    figures = {"benchmark": what, "device": device.device_kind, "jax": jax.__version__} | benchmarks[what]()
    if as_json:
        print(msgspec.json.encode(figures).decode())
        return
    console = Console(highlight=False)
    for name, value in figures.items():
        console.print(f"{name:32} {value:.4g}" if isinstance(value, float) else f"{name:32} {value}")


def bench_learner() -> dict[str, Any]:
    """Gradient steps at the default sizes, on random experience."""
    model, config = ModelConfig(), LearnerConfig()
    agent = Agent(_SPEC, model, config)
    state = jax.jit(agent.initialize, static_argnums=0)(0)
    replay = Replay(_SPEC, APPEND_SIZES[-1])
    replay.append(list(_random_steps(2000)))
    begin_s = time.perf_counter()
    update = agent.update.lower(state, replay.state).compile()
    compile_s = time.perf_counter() - begin_s
    for _ in range(WARM_UP):
        state, metrics = update(state, replay.state)
    jax.block_until_ready(metrics)
    updates, begin_s = 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - begin_s) < MEASURE_S:
        state, metrics = update(state, replay.state)
        jax.block_until_ready(metrics)
        updates += 1
    rate = updates / elapsed_s
    return {
        "parameters": sum(x.size for x in jax.tree.leaves(state.parameters)),
        "batch": f"{config.batch_size}x{config.batch_length}",
        "imagined": f"{config.imagination_starts} starts x {config.imagination_horizon}",
        "compile_s": compile_s,
        "gradient_steps_per_s": rate,
        "replayed_steps_per_s": rate * agent.replayed_per_update,
        "imagined_steps_per_s": rate * agent.imagined_per_update,
        "matmul_peak_gflop_s": _matmul_peak_gflop_s(),
    }


def bench_actor() -> dict[str, Any]:
    """One call of the policy at the default sizes, from numpy to numpy."""
    agent = Agent(_SPEC, ModelConfig(), LearnerConfig())
    state = jax.jit(agent.initialize, static_argnums=0)(0)
    policy = Policy(agent.policy_parameters(state), _SPEC, ModelConfig(), version=1)
    observation = {"vector": np.zeros(VECTOR, np.float32)}
    latency, policy_state = LatencyStatistics(POLICY_CALLS), policy.initial_state()
    for call in range(WARM_UP + POLICY_CALLS):
        begin_s = time.perf_counter()
        _, policy_state = policy(observation, policy_state, call == 0)
        if call >= WARM_UP:
            latency.add(time.perf_counter() - begin_s)
    return {"calls": POLICY_CALLS} | {f"policy_{name}_ms": value for name, value in latency.summary().items()}


def bench_replay() -> dict[str, Any]:
    """Steps through log and replay: append, read back, put on the device."""
    steps = list(_random_steps(LOG_STEPS))
    replay = Replay(_SPEC, LOG_STEPS)
    replay.append(steps)  # compiles
    with TemporaryDirectory() as directory:
        writer = ExperienceWriter(Path(directory), _SPEC, actor_life=1, fsync_period_s=1.0)
        append_s = _timed(lambda: [writer.append(step) for step in steps])
        writer.close()
        tail = LogTail(writer.path, _SPEC)
        read_s = _timed(lambda: tail.read())

    def put() -> None:
        replay.append(steps)
        jax.block_until_ready(replay.state)

    return {
        "steps": LOG_STEPS,
        "log_appends_per_s": LOG_STEPS / append_s,
        **{f"log_append_{name}_ms": value for name, value in writer.append_latency.summary().items()},
        "log_reads_per_s": LOG_STEPS / read_s,
        "replay_appends_per_s": LOG_STEPS / _timed(put),
    }


def _timed(work: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    work()
    return time.perf_counter() - begin_s


def _matmul_peak_gflop_s(size: int = 2048, repetitions: int = 5) -> float:
    """What a large float32 matrix product reaches: the ceiling for everything else."""
    matrix = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(matrix, matrix))
    best_s = min(_timed(lambda: jax.block_until_ready(product(matrix, matrix))) for _ in range(repetitions))
    return 2 * size**3 / best_s / 1e9


def _random_steps(count: int):
    random = np.random.default_rng(0)
    for sequence in range(count):
        yield Step(
            actor_life=1,
            sequence=sequence,
            monotonic_ns=sequence,
            wall_ns=sequence,
            observation={"vector": random.normal(size=VECTOR).astype(np.float32)},
            action_requested=random.uniform(-1, 1, ACTION).astype(np.float32),
            action_sent=np.zeros(ACTION, np.float32),
            reward=float(random.normal()),
            reward_terms={"reward": 0.0},
            info={},
            is_first=sequence % 250 == 0,
            is_last=sequence % 250 == 249,
            is_terminal=False,
            policy_version=0,
            intervention=False,
            safety_flags=0,
            latency_s=0.0,
        )
