"""Whether a world model knows anything: its open-loop predictions against 'nothing changes'."""

from __future__ import annotations

import dataclasses

import numpy as np

from daydreamer.errors import UserError
from daydreamer.instrument.logged import LoggedSteps, choose_windows
from daydreamer.learner.dream import OpenLoopPredictor
from daydreamer.learner.learned import Learned
from daydreamer.session.directory import Session
from daydreamer.telemetry.dreams import REWARD, Dream
from daydreamer.telemetry.predictions import error_ratio, judged_keys

WINDOWS = 64
JUDGED_S = (0.5, 1.0)
"""How far ahead the model has to be better: beyond, a robot that walks is out of step with any prediction of it."""


@dataclasses.dataclass(frozen=True)
class Trust:
    """How good a model's open-loop predictions are over its log.

    Attributes:
      ratio: by seconds ahead, its error in units of that of 'nothing changes', see `error_ratio`. 1 knows nothing.
      reward_ratio: the same of the reward; None where it never changes.
    """

    ratio: dict[float, float]
    reward_ratio: dict[float, float | None]

    @property
    def mean(self) -> float:
        """Over the observations and horizons."""
        return float(np.exp(np.mean(np.log(list(self.ratio.values())))))

    @property
    def is_earned(self) -> bool:
        """Whether the model is better than 'nothing changes'."""
        return self.mean < 1.0

    @property
    def words(self) -> str:
        """For people."""
        each = ", ".join(f"{ratio:.2f} at {seconds:g} s" for seconds, ratio in self.ratio.items())
        return f"its open-loop error is {each}, in units of that of 'nothing changes'"


def require_trust(learned: Learned, trust: Trust, purpose: str) -> None:
    """Refuses a model that knows nothing.

    Args:
      purpose: what it is asked for, as 'rank policies'.

    Raises:
      UserError: its predictions are no better than 'nothing changes'.
    """
    if not trust.is_earned:
        raise UserError(
            f"The model of {learned.session.path} knows too little to {purpose}: {trust.words}, and has to be below 1. "
            f"Let it learn on: '{learned.session.resume_command()}'; or ask the model of another session."
        )


def measure_trust(learned: Learned, steps: LoggedSteps) -> Trust:
    """Lets the model predict stretches of the log that are spread over all of it.

    Raises:
      UserError: the log is too short, or what it predicts is not finite.
    """
    predictor = OpenLoopPredictor(learned.agent.world_model, learned.session.config.learner)
    starts = choose_windows(learned.session, steps, predictor.length, WINDOWS)
    return trust_of(predictor.predict_from(learned.parameters, steps.rows, starts), learned.session)


def trust_of(dream: Dream, session: Session) -> Trust:
    """What open-loop predictions of a session's model come to.

    Raises:
      UserError: they are not finite, or what they are of never changes.
    """
    ratio, reward_ratio = {}, {}
    for seconds in JUDGED_S:
        step = min(max(1, session.spec.steps(seconds)), dream.horizon_steps) - 1
        error, unchanged = (
            {key: float(values[step]) for key, values in each.items()} for each in (dream.error, dream.unchanged_error)
        )
        if not np.all(np.isfinite([*error.values(), *unchanged.values()])):
            raise UserError(f"What the model of {session.path} predicts is not finite; use another session.")
        rewarded, observed = (
            error_ratio(error, {key: unchanged[key] for key in keys}) for keys in ([REWARD], judged_keys(session))
        )
        if observed is None:
            raise UserError(
                f"Nothing ever changes in the log of {session.path}: the robot has not moved. Let it run on: "
                f"'{session.resume_command()}'."
            )
        ratio[seconds] = float(observed)
        reward_ratio[seconds] = None if rewarded is None else float(rewarded)
    return Trust(ratio, reward_ratio)
