"""Gradient steps per second next to those of DreamerV3's own implementation, on the same workload.

    git clone https://github.com/danijar/dreamerv3 DIR
    pip install chex einops elements granular jaxtyping ninjax optax portal ruamel.yaml
    python benchmarks/learner_peer.py --dreamerv3 DIR [--workload reference|image] [--set SECTION.KEY=VALUE]
                                      [--windows 4] [--seconds 20] [--json FILE]

Both learners run on the CPU in float32 with the same jax, each in a process of its own, by turns and never at the
same time. Theirs is their agent in their configuration `size1m`, timed as is best for it: one batch that is on the
device already, nothing to acknowledge to a replay buffer, no policy to hand over, no report, no profiler, no wait
between two updates. Ours draws every batch from its replay buffer and waits for every update.

On the workload `image` both see pictures of 64x64x3 in batches of 8x32 and imagine ten steps from 128 states. Theirs
has the networks of `size1m`, ours those of its default, or as --set says, for ours alone.

Their code passes the shardings of `jax.jit` by position, which newer versions of jax than the one they pin refuse; here
they get their names on the way.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np

WARM_UP = 3
MODULES = ("dyn/", "enc/", "dec/", "rew/", "con/", "pol/", "val/")
"""Their networks by name; all other parameters are the optimizer's, statistics and the slow critic's."""


class Learner(Protocol):
    """What is timed. `operations` are those in the matrix products of one gradient step."""

    parameters: int
    operations: int

    def gradient_steps_per_s(self, duration_s: float) -> float: ...


def make_ours(name: str, overrides: Sequence[str]) -> Learner:
    import msgspec

    from daydreamer.cli.bench import LearnerRun
    from daydreamer.cli.bench_workloads import find_workload
    from daydreamer.config import parse_overrides

    workload = find_workload(name)
    changes = parse_overrides(overrides)
    changed = {
        section: msgspec.convert(msgspec.to_builtins(part) | changes.get(section, {}), type(part), strict=False)
        for section, part in (("model", workload.model), ("learner", workload.learner))
    }
    return LearnerRun(dataclasses.replace(workload, **changed))


class DreamerV3:
    """Their agent on one fixed batch of random experience of a workload."""

    def __init__(self, checkout: Path, name: str):
        import jax

        from daydreamer.cli.bench_operations import matmul_operations
        from daydreamer.cli.bench_workloads import find_workload

        workload = find_workload(name)
        jax.jit = accept_shardings_by_position(jax.jit)
        sys.path.insert(0, str(checkout))
        self._agent = make_agent(checkout, workload)
        batch_size, length = workload.learner.batch_size, workload.learner.batch_length
        batch = random_batch(self._agent.spaces, (batch_size, length))
        self._batch = jax.device_put(batch, self._agent.train_sharded)
        self._seed = jax.device_put(np.zeros(2, np.uint32), self._agent.train_mirrored)
        self._carry = self._agent.init_train(batch_size)
        parameters = self._agent.params
        self.parameters = sum(x.size for name, x in parameters.items() if name.startswith(MODULES))
        # The arguments of their compiled update, as their `train` passes them.
        acting = {name: x for name, x in parameters.items() if name in self._agent.policy_keys}
        others = {name: x for name, x in parameters.items() if name not in self._agent.policy_keys}
        traced = self._agent._train.trace(others, acting, self._seed, self._carry, self._batch)
        self.operations = matmul_operations(traced.jaxpr)
        for _ in range(WARM_UP):
            self._step()
        self._wait()

    def gradient_steps_per_s(self, duration_s: float) -> float:
        updates, begin_s = 0, time.perf_counter()
        while time.perf_counter() - begin_s < duration_s:
            self._step()
            updates += 1
        self._wait()
        return updates / (time.perf_counter() - begin_s)

    def _step(self) -> None:
        self._carry, _, _ = self._agent.train(self._carry, self._batch | {"seed": self._seed})

    def _wait(self) -> None:
        import jax

        jax.block_until_ready(self._agent.params)


def accept_shardings_by_position(jit: Callable) -> Callable:
    """`jax.jit` with the positional parameters that it had up to jax 0.4."""
    names = ("in_shardings", "out_shardings", "static_argnums", "static_argnames", "donate_argnums")

    @functools.wraps(jit)
    def wrapped(function: Callable, *positional: Any, **named: Any):
        return jit(function, **dict(zip(names, positional, strict=False)), **named)

    return wrapped


def make_agent(checkout: Path, workload: Any, seed: int = 0, changes: Mapping[str, Any] | None = None) -> Any:
    """Their agent as their command builds it, for a robot with the workload's spaces.

    Args:
      changes: of their settings of the agent, by dotted name.
    """
    import elements
    from dreamerv3.agent import Agent
    from ruamel.yaml import YAML

    configurations = YAML(typ="safe").load((checkout / "dreamerv3" / "configs.yaml").read_text())
    config = elements.Config(configurations["defaults"]).update(configurations["size1m"])
    scalar = functools.partial(elements.Space, shape=())
    spaces = workload.spec.observation
    observation = {
        key: elements.Space(np.uint8 if space.is_image else np.float32, space.shape) for key, space in spaces.items()
    }
    observation |= {"reward": scalar(np.float32)}
    observation |= {flag: scalar(bool) for flag in ("is_first", "is_last", "is_terminal")}
    action = {"action": elements.Space(np.float32, workload.spec.action.shape, -1, 1)}
    only_training = {"enable_policy": False, "precompile": False, "profiler": False}
    on_cpu = {"platform": "cpu", "compute_dtype": "float32", "prealloc": False}
    learner = workload.learner
    every = learner.imagination_starts == learner.batch_size * learner.batch_length
    # They begin from the last states of each sequence; 0 for all of them.
    last = 0 if every else learner.imagination_starts // learner.batch_size
    settings = {
        **config.agent.update(imag_length=learner.imagination_horizon, imag_last=last).update(changes or {}),
        "logdir": tempfile.gettempdir(),
        "seed": seed,
        "jax": {**config.jax, **on_cpu, **only_training},
        "batch_size": learner.batch_size,
        "batch_length": learner.batch_length,
        "replay_context": 0,
        "report_length": config.report_length,
        "replica": 0,
        "replicas": 1,
    }
    return Agent(observation, action, elements.Config(settings))


def random_batch(spaces: dict[str, Any], shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Normal observations and rewards, uniform actions and pictures, no episode ends."""
    random = np.random.default_rng(0)
    batch = {key: np.zeros((*shape, *space.shape), space.dtype) for key, space in spaces.items()}
    for key in batch:
        if batch[key].dtype == np.uint8:
            batch[key] = random.integers(0, 256, batch[key].shape, np.uint8)
    for key in ("vector", "reward"):
        batch[key] = random.normal(size=batch[key].shape).astype(np.float32)
    batch["action"] = random.uniform(-1, 1, batch["action"].shape).astype(np.float32)
    return batch


def serve(make_learner: Callable[[], Learner], connection: Connection) -> None:
    """A learner's process: says what it is, then answers every duration with a rate."""
    with contextlib.redirect_stdout(sys.stderr):
        learner = make_learner()
        connection.send((learner.parameters, learner.operations))
        while duration_s := connection.recv():
            connection.send(learner.gradient_steps_per_s(duration_s))


class Process:
    """A learner in a process of its own, so that thread pools and settings do not mix."""

    def __init__(self, name: str, make_learner: Callable[[], Learner]):
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(make_learner, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.parameters, self.operations = self._receive()
        self.rates: list[float] = []

    def measure(self, duration_s: float) -> None:
        self._connection.send(duration_s)
        self.rates.append(self._receive())

    def stop(self) -> None:
        self._connection.send(None)
        self._process.join()

    def summary(self, peak_gflop_s: float) -> dict[str, Any]:
        rate = statistics.median(self.rates)
        return {
            "parameters": self.parameters,
            "gradient_steps_per_s": spread(self.rates),
            "matmul_gflop_per_gradient_step": self.operations / 1e9,
            "matmul_peak_share": rate * self.operations / 1e9 / peak_gflop_s,
        }

    def _receive(self) -> Any:
        try:
            return self._connection.recv()
        except EOFError:
            raise SystemExit(f"{self.name} stopped; the reason is above") from None


def spread(values: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "windows": values}


def compare(
    checkout: Path, windows: int, window_s: float, workload: str = "reference", overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Both learners by turns; the ratio is taken of the two windows next to each other."""
    os.environ["JAX_PLATFORMS"] = "cpu"  # before jax is imported, here and in the processes to come
    from daydreamer.cli.bench_operations import matmul_peak_gflop_s

    ours = Process("daydreamer", functools.partial(make_ours, workload, overrides))
    theirs = Process("dreamerv3", functools.partial(DreamerV3, checkout, workload))
    peaks = []
    for _ in range(windows):
        ours.measure(window_s)
        theirs.measure(window_s)
        peaks.append(matmul_peak_gflop_s())
    ours.stop()
    theirs.stop()
    peak_gflop_s = max(peaks)
    return {
        "workload": workload,
        "overrides": list(overrides),
        "dreamerv3_commit": checkout_commit(checkout),
        "cores": len(os.sched_getaffinity(0)),
        "window_s": window_s,
        "matmul_peak_gflop_s": peak_gflop_s,
        "daydreamer": ours.summary(peak_gflop_s),
        "dreamerv3": theirs.summary(peak_gflop_s),
        "ratio": spread([our / their for our, their in zip(ours.rates, theirs.rates, strict=True)]),
    }


def checkout_commit(checkout: Path) -> str | None:
    """The commit of their repository; None if it is a copy without git."""
    commit = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True)
    return commit.stdout.strip() or None


def require_checkout(parser: argparse.ArgumentParser, checkout: Path) -> None:
    """Ends a command that was given another directory."""
    if not (checkout / "dreamerv3" / "configs.yaml").is_file():
        parser.error(f"{checkout} is not a checkout of DreamerV3: dreamerv3/configs.yaml is missing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dreamerv3", type=Path, required=True, metavar="DIR", help="a checkout of their repository")
    parser.add_argument("--workload", choices=("reference", "image"), default="reference")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--windows", type=int, default=4, help="of each learner")
    parser.add_argument("--seconds", type=float, default=20.0, help="each")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    from daydreamer.config import parse_overrides

    require_checkout(parser, arguments.dreamerv3)
    if others := set(parse_overrides(arguments.overrides)) - {"model", "learner"}:
        parser.error(f"--set takes settings of model and learner alone, not of {', '.join(sorted(others))}")
    windows = max(1, arguments.windows)
    checkout = arguments.dreamerv3.resolve()
    result = compare(checkout, windows, arguments.seconds, arguments.workload, arguments.overrides)
    for name in ("daydreamer", "dreamerv3"):
        learner = result[name]
        rate = learner["gradient_steps_per_s"]
        print(
            f"{name:12}{rate['median']:8.3f} gradient steps/s ({rate['lowest']:.3f} to {rate['highest']:.3f}), "
            f"{learner['parameters']:,} parameters, {learner['matmul_gflop_per_gradient_step']:.1f} GFLOP each, "
            f"{learner['matmul_peak_share']:.0%} of {result['matmul_peak_gflop_s']:.0f} GFLOP/s"
        )
    ratio = result["ratio"]
    print(f"{'ratio':12}{ratio['median']:8.3f} ({ratio['lowest']:.3f} to {ratio['highest']:.3f})")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
