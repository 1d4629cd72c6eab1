"""Which logged steps something can be learned from."""

from __future__ import annotations

import numpy as np

from daydreamer.experience.step import Step
from daydreamer.safety.flags import SAFETY_FLAGS


def is_sound(step: Step) -> bool:
    """Whether something can be learned from a step: the joints followed, and every number is one."""
    return is_followed(step) and is_finite(step)


def is_followed(step: Step) -> bool:
    """Whether the joints did what they were told, as far as is known."""
    return not step.safety_flags & SAFETY_FLAGS["not_following"]


def is_finite(step: Step) -> bool:
    """Whether all that is learned from is; `action_sent` is not, and is NaN where the joints were damped."""
    values: tuple[float | np.ndarray, ...] = (step.reward, step.action_requested, *step.observation.values())
    return all(bool(np.isfinite(value).all()) for value in values)
