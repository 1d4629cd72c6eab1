"""`daydreamer bench`: what this machine can do. Free of MuJoCo and ROS, so that it runs on any GPU machine."""

from __future__ import annotations

import collections
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import msgspec
import numpy as np

from daydreamer.actor.control_loop import ActingPolicy
from daydreamer.cli.bench_operations import matmul_operations, matmul_peak_gflop_s
from daydreamer.cli.bench_workloads import DEFAULT, REFERENCE, Workload, find_workload
from daydreamer.cli.terminal import Terminal
from daydreamer.compilation import keep_compilations
from daydreamer.config import ActorConfig, PlanConfig, SessionConfig
from daydreamer.errors import UserError
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.step import Step
from daydreamer.experience.tail import LogTail
from daydreamer.learner.agent import Agent, TrainState
from daydreamer.policy.planning import Planner
from daydreamer.policy.policy import Policy
from daydreamer.replay import APPEND_SIZES, Replay, ReplayState
from daydreamer.spec import RobotSpec, Space
from daydreamer.timing import LatencyStatistics

LEARNER_S = 20.0
LEARNER_WINDOWS = 5
LEARNER_REPLAY_STEPS = 2000
WARM_UP = 3
POLICY_CALLS = 2000
PLAN_CALLS = 200
PLAN = PlanConfig(samples=192)
LOG_STEPS = 20_000


def bench(what: str, *, as_json: bool, workload: str | None = None, learner_s: float = LEARNER_S) -> None:
    """Measures and prints.

    Args:
      what: learner, actor or replay.
      as_json: one JSON object instead of a table.
      workload: see `bench_workloads`; None is the reference for the learner and the default for the rest.
      learner_s: how long the learner is timed.

    Raises:
      UserError: no such benchmark or workload, or no time to measure.
    """
    benchmarks = {
        "learner": lambda workload: bench_learner(workload or REFERENCE, learner_s),
        "actor": lambda workload: bench_actor(workload or DEFAULT),
        "replay": lambda workload: bench_replay(workload or DEFAULT),
    }
    if what not in benchmarks:
        raise UserError(f"There is no benchmark '{what}'; choose one of {', '.join(benchmarks)}.")
    if not learner_s > 0:
        raise UserError(f"Nothing can be measured in {learner_s} s; give a positive number of seconds.")
    measured = benchmarks[what](find_workload(workload) if workload else None)
    figures = {"benchmark": what, "device": jax.devices()[0].device_kind, "jax": jax.__version__} | measured
    if as_json:
        print(msgspec.json.encode(figures).decode())
        return
    console = Terminal()
    for name, value in figures.items():
        console.print(f"{name:32} {value:.4g}" if isinstance(value, float) else f"{name:32} {value}")


class LearnerRun:
    """A learner on random experience, compiled and warmed up.

    Attributes:
      agent: whose gradient steps are timed.
      parameters: how many.
      compile_s: from the traced to the compiled gradient step.
      operations: in the matrix products of one gradient step.
      gradient_steps: since it was made.
      metrics: of the last dispatch, on the device.
    """

    def __init__(self, workload: Workload, updates_per_dispatch: int = 1):
        self.agent = Agent(workload.spec, workload.model, workload.learner)
        self._updates_per_dispatch = updates_per_dispatch
        self.gradient_steps = 0
        self._state = jax.jit(self.agent.initialize, static_argnums=0)(0)
        self.parameters = sum(x.size for x in jax.tree.leaves(self._state.parameters))
        replay = Replay(workload.spec, APPEND_SIZES[-1])
        replay.append(list(_random_steps(workload.spec, LEARNER_REPLAY_STEPS)))
        self._replay_state = replay.state
        update = self.agent.update if updates_per_dispatch == 1 else jax.jit(self._several, donate_argnums=0)
        traced = update.trace(self._state, self._replay_state)
        self.operations = matmul_operations(traced.jaxpr) / updates_per_dispatch
        begin_s = time.perf_counter()
        self._update = traced.lower().compile()
        self.compile_s = time.perf_counter() - begin_s
        for _ in range(WARM_UP):
            self._dispatch()
            jax.block_until_ready(self.metrics)

    def gradient_steps_per_s(self, duration_s: float, in_flight: int = 1) -> float:
        """Over one window of at least this duration and at least one dispatch, with so many of them under way."""
        dispatches, elapsed_s, begin_s = 0, 0.0, time.perf_counter()
        under_way: collections.deque[Any] = collections.deque()
        while elapsed_s < duration_s:
            self._dispatch()
            dispatches += 1
            under_way.append(self.metrics)
            if len(under_way) == in_flight:
                jax.block_until_ready(under_way.popleft())
            elapsed_s = time.perf_counter() - begin_s
        jax.block_until_ready(self.metrics)
        return dispatches * self._updates_per_dispatch / (time.perf_counter() - begin_s)

    def _several(self, state: TrainState, replay: ReplayState) -> tuple[TrainState, dict[str, Any]]:
        return jax.lax.scan(lambda state, _: self.agent.update(state, replay), state, length=self._updates_per_dispatch)

    def _dispatch(self) -> None:
        self._state, self.metrics = self._update(self._state, self._replay_state)
        self.gradient_steps += self._updates_per_dispatch


def bench_learner(workload: Workload, duration_s: float) -> dict[str, Any]:
    """Gradient steps on random experience; the median of several windows and the slowest and fastest of them.

    Where other programs take their share, what a gradient step takes of all processor cores together says more. The
    compilation cache stays off unless the environment switches it on, so that compiling is measured too.
    """
    run, config = LearnerRun(workload), workload.learner
    first, begin_s = run.gradient_steps, time.process_time()
    rates = [run.gradient_steps_per_s(duration_s / LEARNER_WINDOWS) for _ in range(LEARNER_WINDOWS)]
    processor_s = (time.process_time() - begin_s) / (run.gradient_steps - first)
    rate = statistics.median(rates)
    peak_gflop_s = matmul_peak_gflop_s()
    return {
        "workload": workload.name,
        "parameters": run.parameters,
        "batch": f"{config.batch_size}x{config.batch_length}",
        "imagined": f"{config.imagination_starts} starts x {config.imagination_horizon}",
        "compile_s": run.compile_s,
        "gradient_steps_per_s": rate,
        "gradient_steps_per_s_slowest": min(rates),
        "gradient_steps_per_s_fastest": max(rates),
        "windows": len(rates),
        "processor_s_per_gradient_step": processor_s,
        "replayed_steps_per_s": rate * run.agent.replayed_per_update,
        "imagined_steps_per_s": rate * run.agent.imagined_per_update,
        "matmul_gflop_per_gradient_step": run.operations / 1e9,
        "matmul_peak_gflop_s": peak_gflop_s,
        "matmul_peak_share": rate * run.operations / 1e9 / peak_gflop_s,
    }


def bench_actor(workload: Workload) -> dict[str, Any]:
    """One call of the policy, from numpy to numpy, and one of a policy that plans."""
    keep_compilations()
    agent = Agent(workload.spec, workload.model, workload.learner)
    state = jax.jit(agent.initialize, static_argnums=0)(0)
    policy = Policy(agent.policy_parameters(state, plans=True), workload.spec, workload.model, version=1)
    config = SessionConfig(actor=ActorConfig(plan=PLAN), model=workload.model, learner=workload.learner)
    with contextlib.closing(Planner(workload.spec, config)) as planner:
        planning = planner.equip(policy)
        return {
            "workload": workload.name,
            "calls": POLICY_CALLS,
            **_call_ms("policy", policy, workload.spec, POLICY_CALLS),
            "plan": f"{PLAN.samples} rollouts x {len(planner.nothing)}",
            "plan_calls": PLAN_CALLS,
            **_call_ms("plan", planning, workload.spec, PLAN_CALLS),
        }


def _call_ms(name: str, policy: ActingPolicy, spec: RobotSpec, calls: int) -> dict[str, float | None]:
    observation = {key: np.zeros(space.shape, space.dtype) for key, space in spec.observation.items()}
    latency, state = LatencyStatistics(calls), policy.initial_state()
    for call in range(WARM_UP + calls):
        begin_s = time.perf_counter()
        _, state = policy(observation, state, call == 0)
        if call >= WARM_UP:
            latency.add(time.perf_counter() - begin_s)
    return {f"{name}_{percentile}_ms": value for percentile, value in latency.summary().items()}


def bench_replay(workload: Workload) -> dict[str, Any]:
    """Steps through log and replay: append, read back, put on the device."""
    keep_compilations()
    spec = workload.spec
    steps = list(_random_steps(spec, LOG_STEPS))
    replay = Replay(spec, LOG_STEPS)
    replay.append(steps)  # compiles
    with TemporaryDirectory() as directory:
        writer = ExperienceWriter(Path(directory), spec, actor_life=1, fsync_period_s=1.0)
        append_s = _timed(lambda: [writer.append(step) for step in steps])
        writer.close()
        tail = LogTail(writer.path, spec)
        read_s = _timed(lambda: tail.read())

    def put() -> None:
        replay.append(steps)
        jax.block_until_ready(replay.state)

    return {
        "workload": workload.name,
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


def _random_steps(spec: RobotSpec, count: int) -> Iterator[Step]:
    random = np.random.default_rng(0)
    for sequence in range(count):
        yield Step(
            actor_life=1,
            sequence=sequence,
            monotonic_ns=sequence,
            wall_ns=sequence,
            observation={key: _random_observation(space, random) for key, space in spec.observation.items()},
            action_requested=random.uniform(-1, 1, spec.action.shape).astype(np.float32),
            action_sent=np.zeros(len(spec.joint_names), np.float32),
            reward=float(random.normal()),
            reward_terms=dict.fromkeys(spec.reward_terms, 0.0),
            info=dict.fromkeys(spec.info, 0.0),
            is_first=sequence % spec.episode_steps == 0,
            is_last=sequence % spec.episode_steps == spec.episode_steps - 1,
            is_terminal=False,
            policy_version=0,
            intervention=False,
            safety_flags=0,
            latency_s=0.0,
        )


def _random_observation(space: Space, random: np.random.Generator) -> np.ndarray:
    if space.is_image:
        return random.integers(0, 256, space.shape, np.uint8)
    return random.normal(size=space.shape).astype(np.float32)
