"""By what an operator drives a twin in `daydreamer demonstrate`, or a dream: keys, a gamepad, or a leader."""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol, get_args

import numpy as np

from daydreamer.actor.gamepad import LAYOUTS, GamepadLayout
from daydreamer.actor.operator import GAMEPAD_TIMEOUT_S
from daydreamer.actor.steering import PAIRS, KeyStick
from daydreamer.cli.keyboard import KeySplitter, Typing, can_type
from daydreamer.config import SessionConfig
from daydreamer.contract.leader import LeaderOptions
from daydreamer.contract.task import OPERATOR_PUSHED, Task
from daydreamer.demonstration.by_hand import Hand, HandRequest
from daydreamer.demonstration.by_leader import LeaderHand
from daydreamer.errors import UserError
from daydreamer.robots.registry import find_robot

By = Literal["keyboard", "gamepad", "leader"]

NO_LEADER = LeaderOptions()

IDLE_S = 1.0
"""After the last key all are let go, as one that is held repeats itself sooner, also the first time. Until then a robot
that moves on between keys is told to stay where it is."""

KEYS = {
    "\n": HandRequest.KEEP,
    "\r": HandRequest.KEEP,
    "\x7f": HandRequest.DISCARD,
    "\b": HandRequest.DISCARD,
    "p": HandRequest.PAUSE,
}

STICKS = (
    "left stick left, right",
    "left stick up, down",
    "right stick left, right",
    "right stick up, down",
    "cross left, right",
    "cross up, down",
)


class KeyboardHand(Hand):
    """Takes in keys on one thread, see `daydreamer.cli.keyboard.Reader`, and acts by them on another."""

    def __init__(self, task: Task, clock: Callable[[], float] = time.monotonic):
        self._task = task
        self._clock = clock
        self._discrete = task.spec.action.is_discrete
        self._stick = KeyStick(single=self._discrete)
        self._splitter = KeySplitter()
        self._typed: collections.deque[str] = collections.deque(maxlen=256)
        self._steered_s = -np.inf

    def take(self, characters: str, now_s: float) -> None:
        """See `Reader`."""
        self._typed.extend(self._splitter.split(characters))

    def look(self, now_s: float) -> None:
        """See `Reader`."""

    def wait(self, seconds: float) -> None:
        """See `Hand`."""
        time.sleep(seconds)

    def requests(self) -> Iterator[HandRequest]:
        """See `Hand`."""
        while self._typed:
            key = self._typed.popleft()
            if key in KEYS:
                yield KEYS[key]
            elif self._stick.press(key):
                self._steered_s = self._clock()

    def action(self) -> np.ndarray | None:
        """See `Hand`. A robot that does one thing at a time does one for each key."""
        axes = self._stick.take()
        idle = not axes.any() if self._discrete else self.has_let_go()
        return None if idle else self._task.operator_action(axes)

    def has_let_go(self) -> bool:
        """See `Hand`."""
        return self._clock() - self._steered_s > IDLE_S


class HeardGamepad(Protocol):
    """What speaks of a gamepad."""

    def hear(self, seconds: float) -> list[tuple[Sequence[float], Sequence[int]]]:
        """Axes and buttons of all messages that have come by the end of so much time."""


class GamepadHand(Hand):
    """Drives while the dead-man button is held; what is silent has let go of it."""

    def __init__(self, task: Task, layout: GamepadLayout, gamepad: HeardGamepad):
        self._task = task
        self._layout = layout
        self._gamepad = gamepad
        self._held: set[HandRequest] = set()
        self._asked: list[HandRequest] = []
        self._axes: np.ndarray | None = None
        self._heard_s = -np.inf

    def wait(self, seconds: float) -> None:
        """See `Hand`."""
        for axes, buttons in self._gamepad.hear(seconds):
            self._take(axes, buttons)

    def requests(self) -> list[HandRequest]:
        """See `Hand`."""
        asked, self._asked = self._asked, []
        return asked

    def action(self) -> np.ndarray | None:
        """See `Hand`."""
        axes = self.stick()
        if axes is None or self._task.spec.action.is_discrete and np.abs(axes).max() < OPERATOR_PUSHED:
            return None
        return self._task.operator_action(axes)

    def stick(self) -> np.ndarray | None:
        """Where it is, `[6]`, see `Task.operator_action`; None unless it drives."""
        return None if time.monotonic() - self._heard_s > GAMEPAD_TIMEOUT_S else self._axes

    def has_let_go(self) -> bool:
        """See `Hand`."""
        return self.action() is None

    def _take(self, axes: Sequence[float], buttons: Sequence[int]) -> None:
        layout = self._layout
        self._heard_s = time.monotonic()
        drives = layout.pressed(layout.deadman, buttons)
        self._axes = layout.stick(axes, buttons) if drives else None
        held = {
            request
            for request, button in ((HandRequest.KEEP, layout.keep), (HandRequest.DISCARD, layout.discard))
            if layout.pressed(button, buttons)
        }
        self._asked += held - self._held
        self._held = held


LEADER_HELP = (
    "Bring the leader to where the robot is, and hold it there: then the robot follows it. Enter = the episode ends "
    "here, Backspace = forget it, p = pause, Ctrl-C = end."
)


def hand_named(by: str) -> By:
    """What somebody drives by.

    Raises:
      UserError: there is nothing of that name.
    """
    for each in get_args(By):
        if each == by:
            return each
    raise UserError(f"Nobody shows anything by '{by}'; choose --by scripted, {', '.join(get_args(By))}.")


@contextlib.contextmanager
def open_hand(
    by: By,
    layout: str,
    task: Task,
    config: SessionConfig,
    say: Callable[[str], None],
    leader: LeaderOptions = NO_LEADER,
) -> Iterator[Hand]:
    """What somebody drives by, inside the block; `say` is told how.

    Raises:
      UserError: there is no such layout, no terminal, no ROS 2, no gamepad, or no leader.
    """
    if by == "gamepad":
        with open_gamepad(layout, task, "demonstrate") as gamepad:
            say(gamepad_help(task, LAYOUTS[layout]))
            yield gamepad
        return
    with contextlib.ExitStack() as stack:
        arm = None
        if by == "leader":
            arm = stack.enter_context(find_robot(config.robot).leader(config.task)(task, leader))
        if not can_type():
            raise UserError(
                "There is no keyboard: standard input is no terminal. Run it in one, as of 'ssh -t', or choose --by "
                "gamepad or --by scripted."
            )
        keys = KeyboardHand(task)
        words = keyboard_help(task) if arm is None else LEADER_HELP
        stack.enter_context(Typing(keys, lambda: say(words)))
        yield keys if arm is None else LeaderHand(task, arm, keys, say)


@contextlib.contextmanager
def open_gamepad(layout: str, task: Task, command: str) -> Iterator[GamepadHand]:
    """The gamepad by which somebody drives, inside the block.

    Args:
      layout: by name.
      command: that it drives, as ROS 2 is to call it.

    Raises:
      UserError: there is no such layout, no ROS 2, or no gamepad, or it is heard by others.
    """
    if layout not in LAYOUTS:
        raise UserError(f"There is no layout '{layout}' of a gamepad; choose one of {', '.join(LAYOUTS)}.")
    from daydreamer.cli.supervise import check_ros

    check_ros()
    from ros_nodes.gamepad import hearing

    with hearing(layout, command) as gamepad:
        yield GamepadHand(task, LAYOUTS[layout], gamepad)


def keyboard_help(task: Task) -> str:
    """What the keys do, one line."""
    does = task.operator_axes or STICKS
    steering = ", ".join(f"{keys} = {words}" for keys, words in zip(PAIRS, does, strict=False) if words)
    return f"Keys: {steering}; Enter = the episode ends here, Backspace = forget it, p = pause, Ctrl-C = end."


def gamepad_help(task: Task, layout: GamepadLayout) -> str:
    """What a gamepad does, one line."""
    deadman, keep, discard = layout.buttons
    return (
        f"{how_to_drive(task, layout)}; {keep} = the episode ends here, {discard} = forget it, Ctrl-C = end. The twin "
        f"stands still while {deadman} is let go."
    )


def how_to_drive(task: Task, layout: GamepadLayout) -> str:
    """What to hold and to push of a gamepad, in words."""
    steering = [f"{stick} = {words}" for stick, words in zip(STICKS, task.operator_axes, strict=False) if words]
    does = f" ({'; '.join(steering)})" if steering else ""
    return f"Hold {layout.buttons[0]} to drive{does}"
