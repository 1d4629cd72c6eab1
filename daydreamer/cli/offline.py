"""`daydreamer train --from-logs`: learning from recorded sessions, without a robot."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daydreamer.accelerators import share_gpu_memory
from daydreamer.cli.begin import Chosen, FromOthers
from daydreamer.cli.interrupts import INTERRUPTED_STATUS, interrupts
from daydreamer.cli.terminal import Terminal
from daydreamer.compilation import keep_compilations
from daydreamer.errors import UserError
from daydreamer.models.codecs import vector_size
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.new import new_session

if TYPE_CHECKING:
    from daydreamer.instrument.offline import Measurement, Outcome

INTERRUPTED = "Stopping after this gradient step, and keeping what was learned; once more ends at once."
GRADIENT_STEPS = 10_000
"""About as many as the default settings allow a robot of half an hour."""
MEMBERS = 5
"""By which imagination is guarded, unless `learner.members` says otherwise."""
CONTINUED_SHARE = 0.5
"""This share of dreams goes on where others have ended, unless `learner.continued_share` says otherwise."""
LEAST_MINUTES = 1e-3


def train_offline(chosen: Chosen, *, logs: Sequence[Path], gradient_steps: int | None, out: Path) -> int:
    """Learns from recorded sessions, as a new session in `out`; the exit status is 130 if it was interrupted.

    Args:
      logs: directories of the sessions.
      gradient_steps: at most; None for `GRADIENT_STEPS`.

    Raises:
      UserError: unknown robot, task or preset, logs that nothing can be learned from, or `out` cannot become a session.
    """
    from daydreamer.instrument.offline import OfflineTraining
    from daydreamer.learner.logs import read_logs

    keep_compilations()
    share_gpu_memory()
    wanted = GRADIENT_STEPS if gradient_steps is None else gradient_steps
    if wanted < 1:
        raise UserError(f"{wanted} gradient steps learn nothing; choose --gradient-steps above 0.")
    entry, recorded = find_robot(chosen.robot), read_logs(logs)
    configure = functools.partial(
        chosen.configure, max(recorded.minutes, LEAST_MINUTES), "twin" if entry.twin else "hardware"
    )
    has_vectors = vector_size(make_task(configure()).spec.observation)
    guards = [f"learner.members={MEMBERS if has_vectors else 0}", f"learner.continued_share={CONTINUED_SHARE}"]
    config = configure(settings=guards)
    if config.actor.teacher_after_s is not None:
        raise UserError(
            "Learning from logs takes no step beside which a teacher stands; leave out actor.teacher_after_s."
        )
    recorded.require_fit(make_task(config).spec, config)
    session = new_session(out, config, endow=recorded.endow, logs=recorded.recorded(config))
    console, begin_s = Terminal(), time.monotonic()
    for each in session.record.logs:
        console.print(f"Learns from {each.sentence}.", soft_wrap=True)

    def report(measured: Measurement) -> None:
        console.print(
            f"{measured.gradient_step:6d} of {wanted} gradient steps  held-out error {_errors(measured)}"
            f"{' (lowest)' if measured.is_better else ''}  "
            f"imagined reward {measured.figures['learner/behavior/imagined_reward']:.2f}  "
            f"{time.monotonic() - begin_s:.0f} s",
            soft_wrap=True,
        )

    def conclude(outcome: Outcome) -> str:
        kept = outcome.kept
        if kept is None:
            return f"Nothing was learned. Session: {session.path}"
        early = "The model has not become better for long: ended early. " if outcome.ended_early else ""
        doubt = (
            ""
            if kept.trust.is_earned
            else " It predicts no better than 'nothing changes': it needs other logs, or more."
        )
        return (
            f"{early}Kept is what was learned by gradient step {kept.gradient_step}, whose held-out error is "
            f"{_errors(kept)}, in units of that of 'nothing changes'.{doubt} Session: {session.path}\n"
            f"How good it is: daydreamer evaluate {session.path}"
        )

    with session.lock(), interrupts(INTERRUPTED) as stop:
        outcome = OfflineTraining(session).run(wanted, report, stop)
    console.print(conclude(outcome), soft_wrap=True)
    return INTERRUPTED_STATUS if stop() else 0


def _errors(measured: Measurement) -> str:
    return ", ".join(f"{ratio:.3f} at {seconds:g} s" for seconds, ratio in measured.trust.ratio.items())


def require_sense(
    others: FromOthers,
    *,
    steps: int | None,
    teacher_after: float | None,
    train_ratio: float | None,
    gradient_steps: int | None,
    logs: Sequence[Path],
) -> None:
    """Refuses options of `daydreamer train` that mean nothing together.

    Raises:
      UserError: names them.
    """
    if not logs:
        if gradient_steps is not None:
            raise UserError("--gradient-steps is of learning from logs; name them with --from-logs, or use --steps.")
        if steps is None:
            raise UserError("Say with --steps how many the robot takes, or learn from recorded ones with --from-logs.")
        return
    if steps is not None or train_ratio is not None or teacher_after is not None:
        raise UserError(
            "With --from-logs no robot takes a step: leave out --steps, --train-ratio and --teacher-after; "
            "--gradient-steps says how long it learns."
        )
    if others.parent is not None or others.experience_share is not None:
        raise UserError(
            "With --from-logs learning begins at nothing: leave out --from and --from-experience. What a session has "
            "recorded is learned from by --from-logs."
        )
    if others.demonstrations or others.demonstration_share is not None:
        raise UserError(
            "With --from-logs all is learned from logs: name the sessions of --demonstrations with --from-logs as well."
        )
