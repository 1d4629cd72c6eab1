"""How far a world model's open-loop predictions are off, in units of 'nothing changes': the one measure of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike

from daydreamer.session.directory import Session

SMALLEST = 1e-6
"""Errors below this are none: of an observation that never changes nothing can be told."""


def judged_keys(session: Session) -> list[str]:
    """What a session's model is judged by: all that is observed, but for images that it does not learn to draw.

    What a model knows of an image that is drawn for the eye only it need not be able to draw.
    """
    observed = session.spec.observation
    drawn = session.config.model.image_loss == "pixels"
    return [key for key, space in observed.items() if drawn or not space.is_image] or list(observed)


def error_ratio(error: Mapping[str, ArrayLike], unchanged: Mapping[str, ArrayLike]) -> np.ndarray | None:
    """The error of predictions over that of 'nothing changes': the geometric mean over what is observed.

    0 is a perfect model, 1 and more one that is of no use. In a geometric mean an observation that is predicted twice
    as well makes good for one that is predicted half as well.

    Args:
      error, unchanged: by observation, root mean squares of one shape.

    Returns:
      Of that shape; None where nothing that is observed ever changes.
    """
    ratios = [
        np.maximum(error[key], SMALLEST) / np.asarray(values)
        for key, values in unchanged.items()
        if np.all(np.asarray(values) > SMALLEST)
    ]
    return np.exp(np.mean(np.log(ratios), axis=0)) if ratios else None


@dataclasses.dataclass(frozen=True)
class PredictionErrors:
    """Errors of a session's predictions at one horizon, as they were recorded while it learned.

    Attributes:
      robot_s: `[points]`.
      error: by observation `[points]`, root mean square.
      unchanged: the same of the prediction that nothing changes.
    """

    robot_s: np.ndarray
    error: Mapping[str, np.ndarray]
    unchanged: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.robot_s)

    @property
    def ratio(self) -> float | None:
        """See `error_ratio`, of all points taken together; None without any.

        A moment at which the robot is at rest, where 'nothing changes' is right, counts for as little as it moves.
        """
        if not len(self):
            return None
        together = [
            {key: np.sqrt(np.mean(np.square(values))) for key, values in each.items()}
            for each in (self.error, self.unchanged)
        ]
        ratio = error_ratio(*together)
        return None if ratio is None else float(ratio)

    def last(self, seconds: float) -> PredictionErrors:
        """Those of the last `seconds` before the last point."""
        return self._at(np.flatnonzero(self.robot_s > self.robot_s[-1] - seconds)) if len(self) else self

    def split(self, parts: int) -> Iterator[PredictionErrors]:
        """The points in so many stretches, of about as many each."""
        return map(self._at, np.array_split(np.arange(len(self)), parts))

    def running(self, count: int) -> np.ndarray:
        """`[points]`, the ratio of the last `count` points at each one, of fewer at the beginning; NaN without one."""
        each = (self._at(np.arange(max(0, end - count), end)).ratio for end in range(1, len(self) + 1))
        return np.array([np.nan if ratio is None else ratio for ratio in each])

    def _at(self, points: np.ndarray) -> PredictionErrors:
        error, unchanged = (
            {key: values[points] for key, values in each.items()} for each in (self.error, self.unchanged)
        )
        return PredictionErrors(self.robot_s[points], error, unchanged)
