"""Many robots learn at once, each by itself: their gradient steps are one program on one device, a GPU above all.

    python benchmarks/many_robots.py ARMS --out DIR [--seeds 20 21 ...] [--minutes 8] [--nominal] [--only ARM ...]
    python benchmarks/many_robots.py ARMS --out DIR --robot so101 --task pick_place_fine --demonstrations SHOWN

ARMS is a file of JSON, {"name of an arm": ["section.key=value", ...], ...}. Each arm trains a robot for each seed in
lock-step, as `paired_arms.py` does. DIR/ARM.json has the same figures of robots that walk, for its table; of others it
has the episodes, see `episode_figures.py`. But there each robot has a learner of its own. What a gradient step costs a
GPU is launching its kernels, and those of eighty learners side by side are as many as those of one. Here the twins and
their actors are processes, and one program makes the gradient step of all learners (`jax.vmap`). Arms that differ in
numbers of `TRACED` alone share it, or in what no learner sees; others have one of their own, which is compiled by
itself.

The gradient steps are those of `daydreamer train`, in the same order and of the same experience, but for rounding. The
processor's seconds are those of twin and actor alone. Have XLA tune nothing on a GPU: with
XLA_FLAGS="--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false" compiling took two minutes on a machine that
had not finished after seven without.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import episode_figures
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from paired_arms import RANDOM_ROBOT, commit_of, figures, table

from daydreamer.cli.begin import Beginning, Chosen, FromOthers
from daydreamer.cli.train import teacher_of
from daydreamer.config import SessionConfig
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.agent import Agent
from daydreamer.learner.inherited import read_inherited_experience
from daydreamer.learner.learner import RESTART_SEED, Learner
from daydreamer.lockstep import LockstepSession
from daydreamer.policy.policy import (
    Policy,
    PolicyFunction,
    acting_parameters,
    flatten_parameters,
    unflatten_parameters,
)
from daydreamer.replay import APPEND_SIZES, InheritedExperience, Replay, ReplayState, append_rows, row_layout
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec
from daydreamer.storage.atomic import write_anywhere
from daydreamer.timing import LatencyStatistics

TRACED = ("imagination_noise", "imagination_scale", "imitation_scale", "replay_value_scale")
"""Settings of the learner that are numbers in the program, one for each robot, and not part of it."""
CAPACITY = 1 << 15
"""Steps that each replay holds; 27 minutes at 20 Hz."""
WALKING = {"up_z", "forward_velocity_m_s"}
"""What the figures of walking are made of."""
HEADER = np.dtype([("rows", "i4"), ("updates", "i4")])


@dataclasses.dataclass
class Robot:
    """One robot of one arm.

    Attributes:
      arm: its name.
      seed: of everything, the robot included.
      session: its own.
      connection: to the process that lives it.
      memory: where its newest policy lies, as numbers.
    """

    arm: str
    seed: int
    session: Session
    connection: Connection
    memory: SharedMemory

    @property
    def config(self) -> SessionConfig:
        return self.session.config


def program_of(session: Session) -> bytes:
    """What robots that share a program have in common."""
    learner = msgspec.structs.replace(session.config.learner, **dict.fromkeys(TRACED, 1.0))
    model = msgspec.structs.replace(session.config.model, acting_noise=1.0)
    return msgspec.json.encode((session.spec.hash, learner, model))


# The robot's side.


class PendingReplay(Replay):
    """Keeps what has been appended until it is taken away."""

    def __init__(self, spec: RobotSpec):
        super().__init__(spec, APPEND_SIZES[-1])
        self._pending: list[dict[str, np.ndarray]] = []

    def _write(self, rows: dict[str, np.ndarray]) -> None:
        self._pending.append(rows)

    def take(self) -> dict[str, np.ndarray]:
        rows = {name: np.concatenate([each[name] for each in self._pending]) for name in row_layout(self.spec)}
        self._pending.clear()
        return rows


class DistantLearner(Learner):
    """Sends experience to where the gradient steps are made, and gets policies from there."""

    connection: Connection
    memory: SharedMemory

    def __init__(self, session: Session, on_event: Any):
        config = session.config
        self.config = config.learner
        self._session = session
        self._on_event = on_event
        self.agent = SimpleNamespace(  # type: ignore[assignment]
            replayed_per_update=config.learner.batch_size * config.learner.batch_length,
            imagined_per_update=config.learner.imagination_starts * config.learner.imagination_horizon,
        )
        self.replay = PendingReplay(session.spec)
        self._tail = ExperienceTail(session.experience, session.spec)
        self._append_to_replay = LatencyStatistics()
        self._reported_problems = self._refused_steps = self._attempted = self._policy_version = self._idle_gpus = 0
        self._device = "another process"
        self._shapes = policy_shapes(session.spec, config)

    def train(self, updates: int) -> None:
        """So many gradient steps on all that there is; the policy after them lies in the memory then."""
        rows = self.replay.take()  # type: ignore[attr-defined]
        header = np.array((len(rows["reward"]), updates), HEADER)
        self.connection.send_bytes(b"".join([header.tobytes(), *(rows[name].tobytes() for name in sorted(rows))]))
        self.connection.recv_bytes()
        self._attempted += updates

    def policy(self, version: int) -> Policy:
        flat, begin = {}, 0
        everything = np.frombuffer(self.memory.buf, np.float32)
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            flat[name] = everything[begin : begin + size].reshape(shape).copy()
            begin += size
        config = self._session.config
        return Policy(unflatten_parameters(flat), self._session.spec, config.model, version, seed=config.seed)

    def metric_values(self) -> dict[str, float]:
        return {}

    def dream(self) -> None:
        return None

    def checkpoint(self) -> bool:
        return False

    def publish(self, version: int | None = None) -> None:
        return None

    def close(self) -> None:
        self.connection.send_bytes(b"")


class DistantLockstep(LockstepSession):
    """Lock-step whose gradient steps are made elsewhere."""

    def _train(self, loop: Any, learner: Any, stop: Any) -> None:
        if allowed := learner.updates_allowed(loop.statistics.env_steps):
            learner.ingest()
            learner.train(allowed)
            loop.set_policy(learner.policy(version=learner.updates))


def policy_shapes(spec: RobotSpec, config: SessionConfig) -> dict[str, tuple[int, ...]]:
    shapes = PolicyFunction(spec, config.model).parameter_shapes.acting
    return dict(sorted(shapes.items()))


def live(directory: Path, steps: int, deadline_s: float, connection: Connection, memory_name: str) -> None:
    """The life of one robot, in a process of its own; its figures are written to `directory`.json."""
    import daydreamer.lockstep as lockstep
    from daydreamer.compilation import keep_compilations

    keep_compilations()
    begin_s = time.monotonic()
    memory = SharedMemory(memory_name)
    DistantLearner.connection, DistantLearner.memory = connection, memory
    lockstep.Learner = DistantLearner  # type: ignore[misc]
    session = Session.open(directory)
    config = session.config
    with contextlib.closing(find_robot(config.robot).make_twin(config.twin, config.seed)) as twin, session.lock():
        task = make_task(config)
        robot = DistantLockstep(session, twin, task, teacher_of(config, task))
        robot.run(steps, lambda figures: None, lambda: time.time() > deadline_s)
    times = {"processor_s": round(time.process_time(), 1), "wall_s": round(time.monotonic() - begin_s, 1)}
    lived = Session.open(directory)
    result = (figures(lived) if WALKING <= set(lived.spec.info) else episode_figures.of(lived)) | times
    write_anywhere(directory.with_suffix(".json"), json.dumps(result).encode())


# The learners' side.


class Learners:
    """Those that share a program and a schedule, side by side on one device."""

    def __init__(self, robots: Sequence[Robot]):
        self.robots = robots
        session = robots[0].session
        self.spec = spec = session.spec
        config = session.config
        self._hindsight = make_task(config).hindsight
        self._traced = {
            name: np.array([getattr(robot.config.learner, name) for robot in robots], np.float32) for name in TRACED
        }
        seeds = np.array([robot.config.seed ^ RESTART_SEED for robot in robots], np.uint32)
        agent = Agent(spec, config.model, config.learner, hindsight=self._hindsight)
        self._state = jax.jit(jax.vmap(agent.initialize))(seeds)
        rows = {
            name: jnp.zeros((len(robots), CAPACITY, *shape), dtype) for name, (shape, dtype) in row_layout(spec).items()
        }
        self._replay = ReplayState(rows, *jnp.zeros((2, len(robots)), jnp.int32))
        self._shown = shown_to(session)
        self._append = jax.jit(jax.vmap(append_rows, in_axes=(0, 0, 0)), donate_argnums=0)
        self._update = jax.jit(jax.vmap(self._one_update, in_axes=(0, 0, 0, None)), donate_argnums=1)
        self._flat = jax.jit(jax.vmap(self._flat_policy))
        self.rounds = 0
        self.updating_s = 0.0

    def compile(self) -> None:
        self._update = self._update.lower(self._traced, self._state, self._replay, self._shown).compile()

    def _one_update(
        self, traced: dict[str, Any], state: Any, replay: ReplayState, shown: InheritedExperience | None
    ) -> tuple[Any, Any]:
        config = self.robots[0].config
        learner = msgspec.structs.replace(config.learner, **traced)
        agent = Agent(self.spec, config.model, learner, hindsight=self._hindsight)
        return agent._update(state, replay._replace(inherited=shown))

    def _flat_policy(self, state: Any) -> Any:
        flat = flatten_parameters(acting_parameters(state.parameters))
        return jnp.concatenate([flat[name].ravel() for name in sorted(flat)])

    def serve(self) -> None:
        """Until each robot's life has ended."""
        alive = dict(enumerate(self.robots))
        while alive:
            messages: dict[int, bytes] = {}
            for number, robot in list(alive.items()):
                try:
                    messages[number] = robot.connection.recv_bytes()
                except EOFError:
                    messages[number] = b""
                if not messages[number]:
                    del alive[number], messages[number]
            if messages:
                begin_s = time.monotonic()
                self._round(messages)
                self.updating_s += time.monotonic() - begin_s
                self.rounds += 1
                if not self.rounds & (self.rounds - 1):
                    print(
                        f"{self.rounds} rounds, {self.updating_s:.1f} s in gradient steps",
                        flush=True,
                    )
                for number in messages:
                    self.robots[number].connection.send_bytes(b"done")

    def _round(self, messages: dict[int, bytes]) -> None:
        headers = {number: np.frombuffer(message[: HEADER.itemsize], HEADER)[0] for number, message in messages.items()}
        updates = {int(header["updates"]) for header in headers.values()}
        assert len(updates) == 1, "robots of one schedule are trained at the same steps"
        most = max(int(header["rows"]) for header in headers.values())
        size = next(size for size in APPEND_SIZES if size >= most)
        layout = row_layout(self.spec)
        rows = {name: np.zeros((len(self.robots), size, *shape), dtype) for name, (shape, dtype) in layout.items()}
        counts = np.zeros(len(self.robots), np.int32)
        for number, message in messages.items():
            counts[number] = count = int(headers[number]["rows"])
            begin = HEADER.itemsize
            for name in sorted(layout):
                shape, dtype = layout[name]
                length = count * int(np.prod(shape)) * np.dtype(dtype).itemsize
                rows[name][number, :count] = np.frombuffer(message[begin : begin + length], dtype).reshape(
                    count, *shape
                )
                begin += length
        self._replay = self._append(self._replay, rows, counts)
        for _ in range(updates.pop()):
            self._state, _ = self._update(self._traced, self._state, self._replay, self._shown)
        policies = np.asarray(self._flat(self._state))
        for number in messages:
            np.frombuffer(self.robots[number].memory.buf, np.float32)[: policies.shape[1]] = policies[number]


def shown_to(session: Session) -> InheritedExperience | None:
    """The demonstrations that a session draws from, if there are any."""
    rows = read_inherited_experience(session, lambda kind, **fields: None)
    if rows is None:
        return None
    return InheritedExperience(jax.device_put(rows), jnp.float32(session.config.learner.demonstration_share))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(20, 28)))
    parser.add_argument("--minutes", type=float, default=8.0, help="of robot time, for each robot")
    parser.add_argument("--nominal", action="store_true", help="the robot of the published figures for every seed")
    parser.add_argument("--only", nargs="+", metavar="ARM")
    parser.add_argument("--robot", default="a1")
    parser.add_argument("--task", help="what it learns; its usual task if left out")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--demonstrations", type=Path, nargs="+", default=[], metavar="DIR", help="for every robot")
    parser.add_argument(
        "--limit-s", type=float, default=float("inf"), help="after which all of them end where they are"
    )
    options = parser.parse_args()
    arms = json.loads(options.arms.read_text())
    arms = {name: arms[name] for name in options.only or arms}
    options.out.mkdir(parents=True, exist_ok=True)
    deadline_s = time.time() + options.limit_s
    begin_s = time.monotonic()
    robots, processes = [], []
    context = multiprocessing.get_context("spawn")
    for arm, overrides in arms.items():
        for seed in options.seeds:
            random = [] if options.nominal else [RANDOM_ROBOT]
            session = new_session(options, arm, seed, [*overrides, *random])
            robot, process = begin(context, arm, session, deadline_s)
            robots.append(robot)
            processes.append(process)
    groups: dict[bytes, list[Robot]] = {}
    for robot in robots:
        groups.setdefault(program_of(robot.session), []).append(robot)
    print(f"{len(robots)} robots, {len(groups)} programs, {jax.devices()}", flush=True)
    learners = [Learners(group) for group in groups.values()]
    threads = [threading.Thread(target=serve, args=(each, begin_s), daemon=True) for each in learners]
    for thread in threads:
        thread.start()
    for process in processes:
        process.join()
    failed = collect(arms, options, robots)
    for robot in robots:
        robot.memory.unlink()
    print(f"{time.monotonic() - begin_s:.0f} s in all; robots that failed: {failed}")
    walk = WALKING <= set(robots[0].session.spec.info)
    print(table(options.out, None) if walk else episode_figures.table(options.out))
    return bool(failed)


def new_session(options: argparse.Namespace, arm: str, seed: int, overrides: list[str]) -> Session:
    """What `daydreamer train` would make of the same settings."""
    beginning = Beginning(FromOthers(demonstrations=options.demonstrations))
    chosen = Chosen(options.robot, options.task, seed, options.preset, overrides=overrides)
    config = chosen.configure(options.minutes, beginning=beginning)
    return beginning.make(options.out / arm / f"seed{seed}", config)


def begin(context: Any, arm: str, session: Session, deadline_s: float) -> tuple[Robot, Any]:
    """A robot whose process has been started; it computes on the processor, with one thread."""
    before = {name: os.environ.get(name) for name in ("JAX_PLATFORMS", "NPROC")}
    os.environ |= {"JAX_PLATFORMS": "cpu", "NPROC": "1"}
    size = 4 * sum(int(np.prod(shape)) for shape in policy_shapes(session.spec, session.config).values())
    memory = SharedMemory(create=True, size=size)
    ours, theirs = context.Pipe()
    steps = session.spec.steps(60 * session.config.minutes)
    process = context.Process(target=live, args=(session.path, steps, deadline_s, theirs, memory.name), daemon=True)
    process.start()
    theirs.close()
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value
    return Robot(arm, session.config.seed, session, ours, memory), process


def serve(learners: Learners, begin_s: float) -> None:
    try:
        learners.compile()
        print(f"{len(learners.robots)} robots: compiled after {time.monotonic() - begin_s:.0f} s", flush=True)
        learners.serve()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    round_ms = 1e3 * learners.updating_s / max(1, learners.rounds)
    print(
        f"{len(learners.robots)} robots: {learners.rounds} rounds, {round_ms:.1f} ms each for their gradient steps, "
        f"ended after {time.monotonic() - begin_s:.0f} s",
        flush=True,
    )


def collect(arms: dict[str, list[str]], options: argparse.Namespace, robots: Sequence[Robot]) -> int:
    """Writes a file for each arm; how many robots have left none."""
    failed, commit = 0, commit_of(Path(__file__).parents[1])
    for arm, overrides in arms.items():
        path = options.out / f"{arm}.json"
        record = json.loads(path.read_text()) if path.exists() else {"arguments": overrides, "until": None, "seeds": {}}
        for robot in robots:
            result = options.out / arm / f"seed{robot.seed}.json"
            if robot.arm == arm and result.exists():
                record["seeds"][str(robot.seed)] = {"commit": commit} | json.loads(result.read_text())
            elif robot.arm == arm:
                failed += 1
        write_anywhere(path, (json.dumps(record) + "\n").encode())
    return failed


if __name__ == "__main__":
    sys.exit(main())
