"""By what an operator drives a twin: keys, torn ones too, and the layouts of gamepads."""

import numpy as np
import pytest

from daydreamer.actor.gamepad import LAYOUTS
from daydreamer.cli.hands import IDLE_S, GamepadHand, KeyboardHand, gamepad_help, keyboard_help, open_hand
from daydreamer.cli.keyboard import KeySplitter
from daydreamer.config import SessionConfig
from daydreamer.demonstration.by_hand import HandRequest
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.arm.cells import BACK, FORWARD, GRIP, LEFT, LIFT
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.so101.pick_place import PickPlace
from daydreamer.robots.so101.pick_place_fine import PickPlaceFine

KEEP, DISCARD, PAUSE = HandRequest


class Typist:
    """Types by a clock of its own."""

    def __init__(self, task):
        self.now_s = 100.0
        self.hand = KeyboardHand(task, clock=lambda: self.now_s)

    def type(self, characters):
        self.hand.take(characters, self.now_s)
        return list(self.hand.requests())


@pytest.mark.parametrize(
    "pieces, keys",
    [
        (["wa\x1b[A", "\x1bOD"], ["w", "a", "up", "left"]),
        (["\x1b", "[", "C", "d"], ["right", "d"]),
        (["s\x1b[1;5", "Bw"], ["s", "down", "w"]),
        (["\x1b[200~", "\x1b", "\x1bOA"], ["", "\x1b", "up"]),
        (["é\n\x7f"], ["é", "\n", "\x7f"]),
    ],
)
def test_a_key_is_a_key_however_the_network_has_torn_it(pieces, keys):
    splitter = KeySplitter()
    assert [key for piece in pieces for key in splitter.split(piece)] == keys


def test_a_key_moves_the_tool_for_one_step_and_after_a_while_without_the_twin_stands_still():
    typist = Typist(PickPlaceFine(seed=0))
    assert typist.hand.action() is None
    assert not typist.type("w\x1b[B")
    assert typist.hand.action().tolist() == [1.0, 0.0, -1.0, 0.0, 0.0]
    assert not typist.hand.action().any()  # a tap is a step
    typist.type("aaad")
    assert typist.hand.action().tolist() == [0.0, -1.0, 0.0, 0.0, 0.0]
    typist.type("q\x1b[D")
    assert typist.hand.action().tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]
    typist.now_s += IDLE_S + 0.1
    assert typist.hand.action() is None
    typist.type("x?1")
    assert typist.hand.action() is None
    assert typist.type("p\n\x7f") == [PAUSE, KEEP, DISCARD] and typist.hand.action() is None


def test_of_one_thing_at_a_time_there_is_one_for_each_key():
    typist = Typist(PickPlace(seed=0))
    for characters, action in (("w", FORWARD), ("wwws", BACK), ("wa", LEFT), ("d\x1b[B", LIFT), ("\x1b[D", GRIP)):
        typist.type(characters)
        assert typist.hand.action() == action and typist.hand.action() is None


@pytest.mark.parametrize("task", [PickPlace, PickPlaceFine])
def test_a_key_that_is_held_is_not_let_go_between_its_repeats(task):
    typist = Typist(task(seed=0))
    assert typist.hand.has_let_go()
    for pause_s in (0.0, 0.66, 0.04, 0.04):  # the longest usual delay of a terminal, and its repeats
        typist.now_s += pause_s
        typist.type("w")
        typist.hand.action()
        assert not typist.hand.has_let_go()
    typist.now_s += IDLE_S + 0.1
    typist.type("x")  # which moves nothing
    assert typist.hand.has_let_go() and typist.hand.action() is None


def message(layout, deadman=True, pressed=(), size=15, **stick):
    """As a gamepad of that layout says that axes of `Task.operator_action` are pushed."""
    axes, buttons = [0.0] * 8, [0] * size
    for number, value in stick.items():
        where = layout.axes[int(number[1:])]
        if isinstance(where, tuple):
            buttons[where[value < 0.0]] = 1
        else:
            axes[where] = value
    for button in (*pressed, *([layout.deadman] if deadman else [])):
        buttons[button] = 1
    return axes, buttons


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_gamepad_drives_while_its_button_is_held_whatever_its_layout(name, pad):
    layout = LAYOUTS[name]
    hand = GamepadHand(PickPlaceFine(seed=0), layout, pad)

    def after(*messages):
        pad.messages += messages
        hand.wait(0.0)
        return hand.action()

    assert hand.action() is None
    moved = after(message(layout, _0=0.5, _1=-1.0, _3=0.25, _4=-1.0))
    assert moved.tolist() == [-1.0, 0.5, 0.25, -1.0, 0.0]
    assert after(message(layout, _2=float("nan"))).tolist() == [0.0] * 5
    assert after(message(layout, deadman=False, _0=1.0)) is None and not hand.requests()
    after(message(layout, pressed=[layout.keep]), message(layout, pressed=[layout.keep]), message(layout))
    assert hand.requests() == [KEEP] and not hand.requests()
    after(message(layout, pressed=[layout.discard]))
    assert hand.requests() == [DISCARD]
    assert layout.fits(*message(layout)) and not layout.fits([0.0] * 3, [0] * 15)
    assert not layout.fits([0.0] * 8, [0] * layout.deadman)


def test_a_stick_must_be_pushed_for_one_thing_at_a_time(pad):
    layout = LAYOUTS["xbox"]
    hand = GamepadHand(PickPlace(seed=0), layout, pad)
    for pushed, action in ((0.3, None), (0.9, FORWARD)):
        pad.messages = [message(layout, _1=pushed)]
        hand.wait(0.0)
        assert hand.action() == action


def test_what_moves_what_is_said_in_the_tasks_own_words():
    words = keyboard_help(PickPlaceFine(seed=0))
    assert words.startswith(
        "Keys: a d = left, right, w s = forward, back, ← → = opens, closes, ↑ ↓ = up, down, q e = tu"
    )
    assert "q e" not in keyboard_help(PickPlace(seed=0))
    assert "a d = left stick left, right" in keyboard_help(QuadrupedWalkTask(A1))
    words = gamepad_help(PickPlaceFine(seed=0), LAYOUTS["xbox"])
    assert "Hold LB to drive (left stick left, right = left, right; " in words and "cross left, right = turns" in words


def test_without_a_terminal_or_with_an_unknown_layout_nobody_drives():
    task = PickPlaceFine(seed=0)
    for by, layout, error in (
        ("keyboard", "xbox", "standard input is no terminal.*--by gamepad"),
        ("gamepad", "atari", "no layout 'atari' of a gamepad; choose one of xbox, directinput, game_controller"),
    ):
        with pytest.raises(UserError, match=error), open_hand(by, layout, task, SessionConfig(), print):
            pass


def test_an_axis_that_is_out_of_range_is_at_its_end_and_one_that_is_not_finite_is_let_go():
    stick = LAYOUTS["xbox"].stick([1e30, -np.inf, 0.0, np.inf, np.nan, 0.0, -1e30], [])
    assert stick.tolist() == [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]
