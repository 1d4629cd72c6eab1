"""One row of experience."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(slots=True)
class Step:
    """What the robot sensed at one control tick and what it was then told to do.

    The reward is the one received on arriving at `observation`; the action is the one chosen there
    (DreamerV3's alignment). (actor_life, sequence) identifies a step.

    Attributes:
      actor_life: number of the actor process's life in this session, from 1.
      sequence: from 0 within a life, no gaps.
      monotonic_ns, wall_ns: when the observation was taken.
      observation: by key.
      action_requested: by the policy, `[action]` in [-1, 1] (or the class of a discrete action).
      action_sent: joint targets in rad after filter and safety; NaN where the joints were damped.
      reward, reward_terms: see `TaskState`.
      info: see `TaskState`.
      is_first, is_last, is_terminal: episode boundaries; a time limit is last but not terminal.
      policy_version: 0 for random actions.
      intervention: an operator acted.
      safety_flags: bits of `safety.flags.SAFETY_FLAGS`.
      latency_s: from the control tick to this record.
    """

    actor_life: int
    sequence: int
    monotonic_ns: int
    wall_ns: int
    observation: dict[str, np.ndarray]
    action_requested: np.ndarray
    action_sent: np.ndarray
    reward: float
    reward_terms: dict[str, float]
    info: dict[str, float]
    is_first: bool
    is_last: bool
    is_terminal: bool
    policy_version: int
    intervention: bool
    safety_flags: int
    latency_s: float
