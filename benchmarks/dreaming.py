"""Whether a dream that is driven can be believed: how long it stays sound, and whether it is about the actions.

    python benchmarks/dreaming.py --model SESSION --log SESSION --out FILE [--runs 50] [--seconds 60] [--windows 256]

'sound': `--runs` dreams of `--seconds` from states that are spread over SESSION's own log, driven by its best policy,
as `daydreamer dream` has it but with all of them at once and the same chance. A run is within limits if no joint is
beyond the A1's limits, by more than any was in the log, whose angles have noise and whose stops give way a little; and
inside if no number would ever have been, were it not held, beyond all that the log has of it by more than a tenth of
its range.

'actions': from states of --log, a session that the model has never seen, the model imagines what came of the actions
that were taken then, and what would have come of actions from elsewhere in that log. Errors are root mean squares over
what is observed, in units of its deviation, against what was measured; 'nothing changes' beside them. Intervals (95 %)
are by a bootstrap over stretches.

'frames': a dream as fast as it goes, as a command without dashboard: frames/s, and milliseconds of work for each.

What FILE has of other models is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from paired_arms import commit_of

from daydreamer.compilation import keep_compilations
from daydreamer.instrument.dreaming import (
    ROBOTS,
    Dream,
    DreamModel,
    Ever,
    Moment,
    advance_robots,
    begin_robots,
)
from daydreamer.instrument.logged import CONTEXT_S, LoggedSteps, choose_windows, read_logged
from daydreamer.learner.learned import Learned, read_learned
from daydreamer.models.transforms import symexp
from daydreamer.policy.policy import Policy
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.registry import make_task
from daydreamer.session.directory import Session
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.measured_policies import choose_policy

HORIZONS_S = (0.5, 1.0, 2.5, 5.0)
FRAMES = 600
RESAMPLES = 5000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="SESSION")
    parser.add_argument("--log", type=Path, required=True, metavar="SESSION", help="that the model has never seen")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--windows", type=int, default=256)
    options = parser.parse_args()
    keep_compilations()
    learned = read_learned(options.model)
    own = read_logged(learned.session)
    policy = Policy.load(choose_policy(learned.session).path, learned.session.spec, 0, 0.0)
    other = Session.open(options.log)
    result = {
        "log": other.path.name,
        "policy": policy.version,
        "sound": sound(learned, policy, own, options.runs, options.seconds),
        "actions": actions(learned, policy, other, read_logged(other), own.vectors(), options.windows),
        "frames": frames(learned, policy, own),
    }
    results = json.loads(options.out.read_text()) if options.out.exists() else {"models": {}}
    results["models"][learned.session.path.name] = result
    results["commit"] = commit_of(Path(__file__).parents[1])
    write_anywhere(options.out, (json.dumps(results, indent=1) + "\n").encode())
    print(json.dumps(result))
    return 0


def sound(learned: Learned, policy: Policy, steps: LoggedSteps, runs: int, seconds: float) -> dict[str, Any]:
    """How many dreams stay what they could be."""
    context = max(2, steps.spec.steps(CONTEXT_S))
    moment = begin(learned, policy, steps, choose_windows(learned.session, steps, context, runs), context)
    told = np.zeros((steps.spec.steps(seconds), len(moment.robots.alive), learned.agent.world_model.action_size))
    measured = steps.vectors()
    vectors, reward, outside = roll_out(learned, policy, moment, told, measured, by_policy=True)
    place = _place(steps, "joint_position")
    joints = vectors[..., place]
    lowest, highest = (A1.joint_range.normalise(end) for end in (A1.limits.lower_rad, A1.limits.upper_rad))
    lowest, highest = np.minimum(lowest, measured.min(0)[place]), np.maximum(highest, measured.max(0)[place])
    return {
        "runs": int(vectors.shape[1]),
        "seconds": seconds,
        "joints_within_limits": float(((joints >= lowest) & (joints <= highest)).all((0, 2)).mean()),
        "inside": float((~outside.any(0)).mean()),
        "frames_inside": float((~outside).mean()),
        "finite": float(np.isfinite(vectors).all((0, 2)).mean()),
        "reward": float(reward.mean()),
    }


def _place(steps: LoggedSteps, wanted: str) -> slice:
    """Where an observation is among the vectors."""
    begin_at = 0
    for key, space in steps.spec.observation.items():
        if key == wanted:
            return slice(begin_at, begin_at + space.size)
        begin_at += 0 if space.is_image else space.size
    raise SystemExit(f"The robot observes no {wanted}.")


def actions(
    learned: Learned, policy: Policy, session: Session, steps: LoggedSteps, known: np.ndarray, windows: int
) -> dict[str, Any]:
    """Errors under the right actions, under others, and of 'nothing changes', by horizon.

    Args:
      known: `[steps, vector]`, what the model's own log has measured.
    """
    context, horizon = max(2, steps.spec.steps(CONTEXT_S)), steps.spec.steps(HORIZONS_S[-1])
    starts = choose_windows(session, steps, context + horizon, windows)
    moment = begin(learned, policy, steps, starts, context)
    taken = np.asarray(steps.batch(starts + context - 1, horizon).action).swapaxes(0, 1)
    elsewhere = np.roll(np.arange(len(starts)), len(starts) // 2)
    measured = steps.vectors()
    deviation = np.maximum(measured.std(0), 1e-3)
    truth = measured[starts + context + np.arange(horizon)[:, None]]
    predictions = {
        "right": roll_out(learned, policy, moment, taken, known)[0],
        "elsewhere": roll_out(learned, policy, moment, taken[:, elsewhere], known)[0],
        "unchanged": np.broadcast_to(measured[starts + context - 1], truth.shape),
    }
    errors = {name: np.sqrt(np.square((each - truth) / deviation).mean(-1)) for name, each in predictions.items()}
    return {f"{seconds:g}s": _compared(errors, steps.spec.steps(seconds) - 1) for seconds in HORIZONS_S}


def _compared(errors: dict[str, np.ndarray], step: int) -> dict[str, Any]:
    at = {name: each[step] for name, each in errors.items()}
    count = len(at["right"])
    drawn = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))

    def ratio(name: str) -> dict[str, Any]:
        values = at["right"][drawn].mean(1) / at[name][drawn].mean(1)
        low, high = np.quantile(values, (0.025, 0.975))
        return {
            "mean": round(float(at["right"].mean() / at[name].mean()), 3),
            "interval": [round(low, 3), round(high, 3)],
        }

    return {
        "stretches": count,
        "error": {name: round(float(each.mean()), 3) for name, each in at.items()},
        "right_to_elsewhere": ratio("elsewhere"),
        "right_to_unchanged": ratio("unchanged"),
        "nearer_under_the_right_ones": round(float((at["right"] < at["elsewhere"]).mean()), 3),
    }


def frames(learned: Learned, policy: Policy, steps: LoggedSteps) -> dict[str, Any]:
    """How fast a dream goes."""
    dream = Dream(DreamModel(learned, policy, steps, None, 0), make_task(learned.session.config).operator_action)
    dream.advance()
    work_ms = []
    for _ in range(FRAMES):
        begin_s = time.perf_counter()
        dream.advance()
        work_ms.append(1e3 * (time.perf_counter() - begin_s))
    p50, p95 = np.percentile(work_ms, (50, 95))
    return {"frames_per_s": round(1e3 / float(np.mean(work_ms)), 1), "p50_ms": round(p50, 2), "p95_ms": round(p95, 2)}


def begin(learned: Learned, policy: Policy, steps: LoggedSteps, starts: np.ndarray, length: int) -> Moment:
    """The moments at the ends of stretches, one robot for each."""
    key = jax.random.key(0)
    first = policy.function.initial_state(np.asarray(jax.random.key_data(key)))
    remembered = jax.tree.map(lambda values: jnp.repeat(jnp.asarray(values)[None], len(starts), 0), first)
    moment = jax.jit(begin_robots, static_argnums=(0, 1))(
        learned.agent.world_model,
        policy.function,
        learned.parameters,
        policy.parameters,
        steps.batch(starts, length),
        remembered,
        key,
    )
    return moment._replace(robots=jax.tree.map(lambda values: values[::ROBOTS], moment.robots))


def roll_out(
    learned: Learned, policy: Policy, moment: Moment, told: np.ndarray, known: np.ndarray, by_policy: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What would be measured `[time, robots, vector]`, the rewards, and what was held, under actions
    `[time, robots, action]`.
    """
    count = told.shape[1]
    ever = Ever.of(known, learned.agent.world_model.rssm.vector_size)

    @jax.jit
    def run(parameters: Any, policy_parameters: Any, moment: Moment, told: jax.Array):
        def step(moment: Moment, told: jax.Array):
            moment, reward = advance_robots(
                learned.agent.world_model,
                policy.function,
                parameters,
                policy_parameters,
                ever,
                moment,
                jnp.arange(count),
                told,
                jnp.full(count, not by_policy),
                jax.random.key(1),
            )
            return moment, (symexp(moment.robots.state.vector[:, 0]), reward, moment.robots.outside)

        return jax.lax.scan(step, moment, told)[1]

    came = run(learned.parameters, policy.parameters, moment, jnp.asarray(told, jnp.float32))
    vectors, reward, outside = map(np.asarray, came)
    return vectors, reward, outside


if __name__ == "__main__":
    sys.exit(main())
