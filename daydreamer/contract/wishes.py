"""What may be wished of a robot beside its task: signals by name, and rewards over them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

Signals = Mapping[str, Any]
"""Numbers by name, with the unit in the name, each an array of JAX `[...]`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """Something that may be wished of a robot, with a number, as 'backwards 0.3'.

    Attributes:
      summary: what the robot then does, with {value} where the number goes.
      reward: of the signals and the number, `[...]`; made of operations of JAX.
      usual: the number if none is said.
      limits: the lowest and the highest that may be said.
      signal: which one shows whether it came true.
      target: what that signal is to be, of the number.
    """

    summary: str
    reward: Callable[[Signals, float], Any]
    usual: float
    limits: tuple[float, float]
    signal: str
    target: Callable[[float], float] = float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wishables:
    """What may be wished of a robot that does a task.

    Attributes:
      signals: what can be told of observations by key `[..., *shape]`, in SI units.
      wishes: by name.
      begins: the state of its twin from which wishes are tried; None for the usual one.
    """

    signals: Callable[[Mapping[str, Any]], Signals]
    wishes: Mapping[str, Wish] = dataclasses.field(default_factory=dict)
    begins: str | None = None
