"""What two world models make of the same recorded data, over the processor seconds that they have had for it.

    git clone https://github.com/danijar/dreamerv3 DIR
    pip install chex einops elements granular jaxtyping ninjax optax portal ruamel.yaml
    taskset -c 0 python benchmarks/equal_work.py --dreamerv3 DIR --session SESSION --out FILE [--picture FILE]
                                                 [--learners NAME ...] [--seeds 0 1] [--seconds 240] [--every 15]
    python benchmarks/equal_work.py --out FILE [--picture FILE]            the table of what there is so far

`learner_peer.py` compares gradient steps per second. But a gradient step of one learner need not teach as much as one
of another: here they learn from the first 80 % of a session's log, and what counts is how wrong they are about the
rest. The learners:

- `daydreamer`: ours at the reference workload, which has the sizes of networks, the batch and the imagination of
  theirs, 16 sequences of 64; without mirror images, of which theirs knows nothing.
- `dreamerv3`: their agent in their configuration `size1m`, as published.
- `dreamerv3_fast`: the same with our learning rate and our number of updates until it is reached, so that it can be
  told what is due to these two settings. Theirs are for days.
- `daydreamer_default`: ours as `daydreamer walk` runs it, 16 sequences of 32 and networks of its own sizes, with mirror
  images.

A gradient step is a whole one, with actor and critic, as both learn; the share of its matrix products that is the world
model's is printed. Batches are drawn evenly over the log, and each sequence begins from nothing.

A prediction is open loop. A model sees a second that was held out, and what was done; from what it infers it goes on by
itself, with what was really done and one sample of its latent variables. Its error is the root mean square over windows
and elements of the vector observations, each in units of its standard deviation in what is learned from, and is given
over the same error of 'nothing changes': it is 1 for a model that knows the last measurement and no more. That of the
reward likewise.

Each learner has a process of its own, with one thread, and they take turns. What is counted are processor seconds of
its process while it makes gradient steps, so that other programs on the machine matter less; compiling is not counted,
and printed. Predictions are not counted. FILE is written after each turn; what it has already is not run again.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from learner_peer import MODULES, accept_shardings_by_position, checkout_commit, make_agent, require_checkout
from learning_curves import current_commit, describe_machine

from daydreamer.environment import environment
from daydreamer.errors import UserError
from daydreamer.evaluation.crew import ONE_CORE
from daydreamer.instrument.logged import CONTEXT_S, LoggedSteps, choose_windows, read_logged
from daydreamer.session.directory import Session
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.dreams import REWARD

LEARNED_SHARE = 0.8
HORIZONS_S = (0.25, 0.5, 1.0)
WINDOWS = 256
SMALLEST_DEVIATION = 1e-4
"""Elements of an observation that hardly ever change are left out: their deviation is no unit."""
SEED = 0x4571
"""Keeps the choice of their batches apart from their other randomness."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """A session's log, divided.

    Attributes:
      learned, held_out: its beginning and its end.
      starts: where the windows of the held-out steps begin.
    """

    learned: LoggedSteps
    held_out: LoggedSteps
    starts: np.ndarray

    @property
    def context(self) -> int:
        """Steps of a window that a model sees."""
        return self.learned.spec.steps(CONTEXT_S)

    @property
    def horizons(self) -> np.ndarray:
        """Steps after those, at which it is judged."""
        return np.array([self.learned.spec.steps(horizon_s) for horizon_s in HORIZONS_S])

    @property
    def window(self) -> np.ndarray:
        """Indices of held-out steps, `[windows, time]`."""
        return self.starts[:, None] + np.arange(self.context + self.horizons[-1])

    def rows(self) -> dict[str, np.ndarray]:
        """The windows by field, `[windows, time, ...]`."""
        return {name: values[self.window] for name, values in self.held_out.rows.items()}

    def errors(self, predicted: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
        """By what was observed, all of it, or the reward: the error at each horizon over that of 'nothing changes'.

        Args:
          predicted: by key `[windows, time, ...]`, what follows the context.
        """
        rows, context, errors, pairs = self.rows(), self.context, {}, []
        for key in self.learned.spec.observation:
            scale = self.learned.rows[f"observation/{key}"].reshape(len(self.learned), -1).std(0)
            truth = rows[f"observation/{key}"].reshape(*self.window.shape, -1)
            after, changes = truth[:, context:], scale > SMALLEST_DEVIATION
            if not changes.any():
                continue
            wrong = predicted[key].reshape(after.shape) - after, truth[:, context - 1, None] - after
            pair = [(error[..., changes] / scale[changes])[:, self.horizons - 1] for error in wrong]
            errors[key] = _ratio(*pair)
            pairs.append(pair)
        after, last = rows["reward"][:, context:], rows["reward"][:, context - 1, None]
        pair = [error[:, self.horizons - 1, None] for error in (predicted[REWARD] - after, last - after)]
        together = [np.concatenate(parts, -1) for parts in zip(*pairs, strict=True)]
        return {"observation": _ratio(*together), REWARD: _ratio(*pair), **errors}


def _ratio(ours: np.ndarray, unchanged: np.ndarray) -> list[float]:
    """How large our errors `[windows, horizons, elements]` are beside the others, as root mean squares, by horizon."""
    squared = (np.square(errors, dtype=np.float64).mean((0, 2)) for errors in (ours, unchanged))
    return [float(value) for value in np.sqrt(np.divide(*squared))]


def read_recording(path: Path) -> Recording:
    """The log of a session, divided.

    Raises:
      UserError: it cannot be read, is too short, has pictures, or its reward never changes.
    """
    session = Session.open(path)
    steps, spec = read_logged(session), session.spec
    if any(space.is_image for space in spec.observation.values()):
        raise UserError(f"{path} has pictures; choose a session of a robot that measures vectors alone.")
    count = round(LEARNED_SHARE * len(steps))
    learned, held_out = (
        LoggedSteps(spec, {name: np.array(values[part]) for name, values in steps.rows.items()}, {})
        for part in (slice(None, count), slice(count, None))
    )
    held_out.rows["is_first"][0] = True
    if not np.ptp(held_out.rows["reward"]):
        raise UserError(f"The reward never changes at the end of the log of {path}; choose another session.")
    length = spec.steps(CONTEXT_S) + spec.steps(HORIZONS_S[-1])
    return Recording(learned, held_out, choose_windows(session, held_out, length, WINDOWS))


class Learner(Protocol):
    """Learns from a recording. `model_share` is of the matrix products of a gradient step, see above."""

    parameters: int
    gflop: float
    model_share: float

    def step(self) -> None:
        """One gradient step, waited for."""

    def predict(self) -> dict[str, np.ndarray]:
        """What follows the context of every window, by key `[windows, time, ...]`."""


class DayDreamer:
    """Ours, as it learns from logs alone."""

    def __init__(self, recording: Recording, seed: int, workload: Any):
        import jax

        from daydreamer.cli.bench_operations import matmul_operations
        from daydreamer.learner.agent import Agent
        from daydreamer.learner.dream import OpenLoopPredictor
        from daydreamer.replay import APPEND_SIZES, Replay, sample

        spec, config = recording.learned.spec, workload.learner
        agent = Agent(spec, workload.model, config)
        replay = Replay(spec, APPEND_SIZES[-1], inherited=recording.learned.rows)
        replay.draw_inherited(1.0)
        self._replay, self._update = replay.state, agent.update
        self._state = jax.jit(agent.initialize, static_argnums=0)(seed)
        lengths = {"dream_context_s": CONTEXT_S, "dream_horizon_s": HORIZONS_S[-1]}
        predictor = OpenLoopPredictor(agent.world_model, msgspec.structs.replace(config, **lengths))
        self._continuation = jax.jit(predictor.continuation)
        rows = recording.rows()
        self._seen = {key: rows[f"observation/{key}"][:, : recording.context] for key in spec.observation}
        self._seen |= {REWARD: rows["reward"][:, : recording.context]}
        self._action = rows["action"]
        self.parameters = sum(x.size for x in jax.tree.leaves(self._state.parameters))
        key = jax.random.key(0)
        batch = sample(self._replay, spec, config.batch_size, config.batch_length, key)
        gradient = jax.make_jaxpr(jax.grad(lambda p: agent.world_model.loss(p, batch, config, key)[0]))
        whole = matmul_operations(self._update.trace(self._state, self._replay).jaxpr)
        self.gflop = whole / 1e9
        self.model_share = matmul_operations(gradient(self._state.parameters)) / whole

    def step(self) -> None:
        import jax

        self._state, metrics = self._update(self._state, self._replay)
        jax.block_until_ready(metrics)

    def predict(self) -> dict[str, np.ndarray]:
        import jax

        return jax.device_get(self._continuation(self._state.parameters, self._seen, self._action))


def make_reference(recording: Recording, seed: int, checkout: Path) -> Learner:
    from daydreamer.cli.bench_workloads import REFERENCE

    learner = msgspec.structs.replace(REFERENCE.learner, mirror=False)
    return DayDreamer(recording, seed, dataclasses.replace(REFERENCE, learner=learner))


def make_default(recording: Recording, seed: int, checkout: Path) -> Learner:
    from daydreamer.cli.bench_workloads import DEFAULT

    return DayDreamer(recording, seed, DEFAULT)


class DreamerV3:
    """Theirs; batches are made here, as they would come out of their replay without its latent states."""

    MODEL_LOSSES = ("dyn", "rep", "rew", "con")
    """And those of what is observed: the rest is the behaviour's."""

    def __init__(self, recording: Recording, seed: int, checkout: Path, changes: Mapping[str, Any] | None = None):
        import jax
        import ninjax

        from daydreamer.cli.bench_workloads import REFERENCE

        jax.jit = accept_shardings_by_position(jax.jit)
        sys.path.insert(0, str(checkout))
        spec = recording.learned.spec
        workload = dataclasses.replace(REFERENCE, spec=spec)
        self._agent = make_agent(checkout, workload, seed, changes)
        self._keys, self._rows = list(spec.observation), recording.learned.rows
        self._shape = workload.learner.batch_size, workload.learner.batch_length
        self._random = np.random.default_rng((seed, SEED))
        self._carry = self._agent.init_train(self._shape[0])
        self._continuation = jax.jit(ninjax.pure(functools.partial(self._continue, recording.horizons[-1])))
        rows, context = recording.rows(), recording.context
        seen = {key: rows[f"observation/{key}"][:, :context] for key in self._keys}
        action = rows["action"]
        before = np.concatenate([np.zeros_like(action[:, :1]), action[:, : context - 1]], 1)
        actions = {"action": before}, {"action": action[:, context - 1 : -1]}
        # They let JAX transfer nothing that it was not asked to.
        self._windows = jax.device_put((seen, *actions), self._agent.train_sharded)
        self._seed = jax.device_put(np.zeros(2, np.uint32), self._agent.train_mirrored)
        parameters = self._agent.params
        self.parameters = sum(x.size for name, x in parameters.items() if name.startswith(MODULES))
        self.gflop, self.model_share = self._operations()

    def step(self) -> None:
        import jax

        batch = self._batch()
        seed = jax.device_put(batch.pop("seed"), self._agent.train_mirrored)
        batch = jax.device_put(batch, self._agent.train_sharded)
        self._carry, _, _ = self._agent.train(self._carry, batch | {"seed": seed})
        jax.block_until_ready(self._agent.params)

    def predict(self) -> dict[str, np.ndarray]:
        import jax

        return jax.device_get(self._continuation(self._agent.params, *self._windows, seed=self._seed)[1])

    def _continue(self, horizon: int, seen: Any, before: Any, taken: Any) -> dict[str, Any]:
        """As their `report` does it, with the reward."""
        import jax.numpy as jnp

        model, windows, context = self._agent.model, *before["action"].shape[:2]
        is_first = jnp.zeros((windows, context), bool).at[:, 0].set(True)
        _, _, tokens = model.enc(model.enc.initial(windows), seen, is_first, training=False)
        begin, _, _ = model.dyn.observe(model.dyn.initial(windows), tokens, before, is_first, training=False)
        _, features, _ = model.dyn.imagine(begin, taken, length=horizon, training=False)
        _, _, drawn = model.dec({}, features, jnp.zeros((windows, horizon), bool), training=False)
        reward = model.rew(model.feat2tensor(features), 2).pred()
        return {key: drawn[key].pred() for key in self._keys} | {REWARD: reward}

    def _batch(self) -> dict[str, Any]:
        batch_size, length = self._shape
        starts = self._random.integers(0, len(self._rows["reward"]) - length + 1, batch_size)
        index = starts[:, None] + np.arange(length)
        batch = {key: np.zeros((*index.shape, *space.shape), space.dtype) for key, space in self._agent.spaces.items()}
        batch |= {key: self._rows[f"observation/{key}"][index] for key in self._keys}
        batch |= {name: self._rows[name][index] for name in ("action", "reward", "is_first", "is_last", "is_terminal")}
        batch["is_first"][:, 0] = True
        seed = self._random.integers(0, np.iinfo(np.uint32).max, 2, np.uint32)
        return batch | {"seed": seed}

    def _operations(self) -> tuple[float, float]:
        """GFLOP in the matrix products of a gradient step, and the world model's share of them."""
        import jax
        import ninjax

        from daydreamer.cli.bench_operations import matmul_operations

        agent, parameters, batch = self._agent, self._agent.params, self._batch()
        seed = batch.pop("seed")
        acting = {name: x for name, x in parameters.items() if name in agent.policy_keys}
        others = {name: x for name, x in parameters.items() if name not in agent.policy_keys}
        whole = matmul_operations(agent._train.trace(others, acting, seed, self._carry, batch).jaxpr)

        def model_loss(carry: Any, data: Any) -> Any:
            carry, observation, before, _ = agent.model._apply_replay_context(carry, data)
            losses = agent.model.loss(carry, observation, before, training=True)[1][2]["losses"]
            return sum(losses[name].mean() for name in (*self.MODEL_LOSSES, *self._keys))

        pure = ninjax.pure(model_loss)
        trained = {name: x for name, x in parameters.items() if name.startswith(MODULES)}
        rest = {name: x for name, x in parameters.items() if name not in trained}
        gradient = jax.make_jaxpr(jax.grad(lambda p: pure(p | rest, self._carry, batch, seed=seed)[1]))
        return whole / 1e9, matmul_operations(gradient(trained)) / whole


def make_fast(recording: Recording, seed: int, checkout: Path) -> Learner:
    from daydreamer.cli.bench_workloads import REFERENCE

    ours = REFERENCE.learner
    return DreamerV3(recording, seed, checkout, {"opt.lr": ours.learning_rate, "opt.warmup": ours.warmup_updates})


LEARNERS: dict[str, Callable[[Recording, int, Path], Learner]] = {
    "daydreamer": make_reference,
    "dreamerv3": DreamerV3,
    "dreamerv3_fast": make_fast,
    "daydreamer_default": make_default,
}


class Trial:
    """One learner in its process; counts what its gradient steps cost."""

    def __init__(self, name: str, seed: int, session: Path, checkout: Path):
        self._recording = read_recording(session)
        self._learner = LEARNERS[name](self._recording, seed, checkout)
        self._points = [self._point(0.0, 0)]
        first, second = self._timed_step(), self._timed_step()
        self._compile_s, self._spent_s, self._steps = first - second, 2 * second, 2

    def go_on(self, until_s: float) -> None:
        """Learns until it has cost so many processor seconds, and is judged."""
        while self._spent_s < until_s:
            self._spent_s += self._timed_step()
            self._steps += 1
        self._points.append(self._point(self._spent_s, self._steps))

    def result(self) -> dict[str, Any]:
        return {
            "parameters": self._learner.parameters,
            "matmul_gflop_per_gradient_step": round(self._learner.gflop, 3),
            "model_share": round(self._learner.model_share, 4),
            "compile_s": round(self._compile_s, 2),
            "points": self._points,
        }

    def _timed_step(self) -> float:
        begin_s = time.process_time()
        self._learner.step()
        return time.process_time() - begin_s

    def _point(self, spent_s: float, steps: int) -> dict[str, Any]:
        errors = self._recording.errors(self._learner.predict())
        rounded = {key: [round(value, 4) for value in values] for key, values in errors.items()}
        return {"processor_s": round(spent_s, 2), "gradient_steps": steps, "error": rounded}


_trial: list[Trial] = []
"""What this process measures, once it has begun."""


def _begin(*arguments: Any) -> None:
    with contextlib.redirect_stdout(sys.stderr):
        _trial.append(Trial(*arguments))


def _go_on(until_s: float) -> dict[str, Any]:
    _trial[0].go_on(until_s)
    return _trial[0].result()


def compare(options: argparse.Namespace, results: dict[str, Any]) -> Iterator[None]:
    """Adds what the results lack, seed by seed, the learners by turns; yields after each turn of all."""
    for seed in options.seeds:
        missing = [name for name in options.learners if not _is_done(results, name, seed, options.seconds)]
        with contextlib.ExitStack() as stack:
            stack.enter_context(environment(ONE_CORE))
            spawn = multiprocessing.get_context("spawn")
            processes = {name: stack.enter_context(ProcessPoolExecutor(1, spawn)) for name in missing}
            for name, process in processes.items():
                process.submit(_begin, name, seed, options.session, options.dreamerv3).result()
            for until_s in np.arange(options.every, options.seconds + options.every / 2, options.every):
                turn = {name: process.submit(_go_on, until_s).result() for name, process in processes.items()}
                print(f"seed {seed}, {until_s:.0f} s each:", *map(_progress, turn.items()), sep="  ", flush=True)
                for name, result in turn.items():
                    results["learners"].setdefault(name, {})[str(seed)] = result
                yield


def _is_done(results: Mapping[str, Any], name: str, seed: int, seconds: float) -> bool:
    trial = results["learners"].get(name, {}).get(str(seed))
    return trial is not None and trial["points"][-1]["processor_s"] >= seconds


def _progress(item: tuple[str, Mapping[str, Any]]) -> str:
    name, result = item
    point = result["points"][-1]
    return f"{name} {point['error']['observation'][1]:.3f} ({point['gradient_steps']})"


def table(results: Mapping[str, Any]) -> list[str]:
    """A row for each learner: the mean over seeds, and the lowest and highest."""
    header = ["learner", "seeds", "parameters", "GFLOP a gradient step (the world model's)", "compiling, s"]
    header += ["processor s", "gradient steps", *(f"error at {horizon_s:g} s" for horizon_s in HORIZONS_S)]
    header += [f"of the reward at {HORIZONS_S[1]:g} s", "processor s until as good as dreamerv3 at its end"]
    rows = [header, ["---"] * len(header)]
    for name, seeds in results["learners"].items():
        trials, ends = list(seeds.values()), [trial["points"][-1] for trial in seeds.values()]
        gflop, share = trials[0]["matmul_gflop_per_gradient_step"], trials[0]["model_share"]
        row = [name, str(len(trials)), f"{trials[0]['parameters']:,}", f"{gflop:.1f} ({share:.0%})"]
        row += [_spread([trial["compile_s"] for trial in trials], 0)]
        row += [_spread([end["processor_s"] for end in ends], 0), _spread([end["gradient_steps"] for end in ends], 0)]
        row += [_spread([end["error"]["observation"][horizon] for end in ends], 3) for horizon in range(3)]
        row += [_spread([end["error"][REWARD][1] for end in ends], 3)]
        rows.append([*row, _until_as_good(seeds, results["learners"].get("dreamerv3", {}))])
    return [f"| {' | '.join(row)} |" for row in rows]


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def _until_as_good(seeds: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """When it was measured to predict half a second as well as theirs of the same seed did at the end, by seed."""
    times = []
    for seed in seeds.keys() & theirs.keys():
        goal = theirs[seed]["points"][-1]["error"]["observation"][1]
        reached = [point["processor_s"] for point in seeds[seed]["points"] if point["error"]["observation"][1] <= goal]
        times.append(f"{reached[0]:.0f}" if reached else "not within the run")
    return ", ".join(sorted(times))


def draw(results: Mapping[str, Any], path: Path) -> None:
    """The errors over processor seconds, a line for each learner and seed."""
    from plot_curves import COLOURS, plt

    figure, panels = plt.subplots(1, 4, sharey=True, figsize=(13, 3.8), layout="constrained")
    shown = [("observation", number) for number in range(len(HORIZONS_S))] + [(REWARD, 1)]
    for axes, (key, number) in zip(panels, shown, strict=True):
        for colour, (name, seeds) in zip(COLOURS, results["learners"].items(), strict=False):
            for seed, trial in seeds.items():
                spent_s = [point["processor_s"] for point in trial["points"]]
                errors = [point["error"][key][number] for point in trial["points"]]
                label = name if seed == next(iter(seeds)) else None
                axes.plot(spent_s, errors, color=colour, linewidth=1.5, label=label)
        axes.axhline(1.0, color="0.6", linewidth=0.8, linestyle=":")
        axes.set_title(f"{'reward' if key == REWARD else 'all that is measured'}, {HORIZONS_S[number]:g} s ahead")
        axes.set_xlabel("processor s of learning")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("error over that of 'nothing changes'")
    panels[0].set_yscale("log")
    panels[-1].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON of what was measured")
    parser.add_argument("--session", type=Path, metavar="DIR", help="whose log they learn from")
    parser.add_argument("--dreamerv3", type=Path, metavar="DIR", help="a checkout of their repository")
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--seconds", type=float, default=240.0, help="processor time of each learner and seed")
    parser.add_argument("--every", type=float, default=15.0, help="processor time between two predictions")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="PNG of the errors over processor seconds")
    options = parser.parse_args()
    empty: dict[str, Any] = {"learners": {}}
    results = json.loads(options.out.read_text()) if options.out.exists() else empty
    if options.session is not None:
        if options.dreamerv3 is None:
            parser.error("--session needs --dreamerv3")
        require_checkout(parser, options.dreamerv3)
        options.dreamerv3 = options.dreamerv3.resolve()
        try:
            steps = len(read_recording(options.session).learned)
            for _ in compare(options, results):
                about = {"commit": current_commit(), "dreamerv3_commit": checkout_commit(options.dreamerv3)}
                about |= {"machine": describe_machine(), "learned_steps": steps, "horizons_s": HORIZONS_S}
                write_anywhere(options.out, (json.dumps(about | results, indent=1) + "\n").encode())
        except UserError as error:
            parser.error(str(error))
    print(*table(results), sep="\n")
    if options.picture is not None:
        draw(results, options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
