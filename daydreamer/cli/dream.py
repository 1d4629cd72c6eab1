"""`daydreamer dream`."""

from __future__ import annotations

import contextlib
import json
import math
import time
from pathlib import Path
from typing import Any

from rich.text import Text

from daydreamer.cli.dashboard import usable_dashboard
from daydreamer.cli.dream_account import Account
from daydreamer.cli.dream_gamepad import dreaming_gamepad
from daydreamer.cli.dream_keys import HELP, DreamKeys
from daydreamer.cli.dream_screen import Screen, Stage
from daydreamer.cli.keyboard import Typing
from daydreamer.cli.live import live_page
from daydreamer.cli.terminal import Terminal
from daydreamer.compilation import keep_compilations
from daydreamer.errors import UserError
from daydreamer.instrument.dreaming import Dream, DreamModel
from daydreamer.instrument.logged import read_logged
from daydreamer.instrument.trust import Trust, measure_trust
from daydreamer.learner.learned import Learned, read_learned
from daydreamer.pacer import Pacer
from daydreamer.policy.policy import Policy
from daydreamer.robots.registry import make_task
from daydreamer.stop_request import StopRequest
from daydreamer.telemetry.measured_policies import choose_policy
from daydreamer.telemetry.quantities import known_figures
from daydreamer.viewer.titles import DREAM

REAL, MAX = "real", "max"
PAUSE_S = 0.02


def dream(
    directory: Path,
    *,
    minute: float | None,
    version: str,
    seconds: float | None,
    speed: str,
    seed: int,
    gamepad: str | None,
    dashboard: bool,
    address: str,
    port: int | None,
    open_browser: bool,
    as_json: bool,
) -> None:
    """Lets the model of the session in `directory` run live.

    Args:
      minute: of robot time, next to which it begins; None: at the end of the log.
      version: of the policy, see `choose_policy`.
      seconds: dreamed, after which it ends by itself.
      speed: 'real', 'max', or how many times as fast.
      gamepad: layout of the one that drives beside the keyboard; None: there is none.

    Raises:
      UserError: there is no such session, checkpoint or policy, its log is too short, or see `DreamModel.advance` and
        `open_gamepad`.
    """
    factor = parse_speed(speed)
    keep_compilations()
    console = Terminal(stderr=as_json)
    learned = read_learned(directory)
    session = learned.session
    chosen = choose_policy(session, version)
    screen = Screen(console, known_figures(session.presentation, session.spec), chosen.version)
    task = make_task(session.config, session.record.robot_package)
    with contextlib.ExitStack() as stack:
        keys = DreamKeys() if gamepad is None else stack.enter_context(dreaming_gamepad(gamepad, task, screen.say))
        steps = read_logged(session)
        model = DreamModel(learned, Policy.load(chosen.path, session.spec, seed, 0.0), steps, minute, seed)
        trust = measure_trust(learned, steps)
        warning = "" if trust.is_earned else warn(learned, trust)
        if warning:
            console.print(Text(warning, style="yellow"), soft_wrap=True)
        dreamt = Dream(model, task.operator_action)
        dreamt.advance()  # compiles
        dreamt.restart()
        stop = StopRequest(watch_parent=False)
        stage = None
        if usable_dashboard(dashboard, screen.say):
            page = live_page(session, DREAM, screen.say, address, port, open_browser)
            stage = Stage(*stack.enter_context(page), session.spec.control_period_s)
        screen.say(f"From robot minute {model.minute:.2f} of {session.path}; Ctrl-C ends it.")
        stack.enter_context(screen)
        stack.enter_context(Typing(keys, lambda: screen.say(HELP)))
        account = _run(dreamt, keys, screen, stage, stop, Pace(model.period_s, factor), seconds)
    summary = {
        "session": str(session.path),
        "gradient_step": int(learned.state.updates),
        "policy": chosen.version,
        "minute": round(model.minute, 3),
        **account.summary(model.period_s),
        "rewinds": keys.rewinds,
        "branches": keys.branches,
        "open_loop_ratio": {f"{ahead_s:g}s": ratio for ahead_s, ratio in trust.ratio.items()},
        "warnings": [warning] if warning else [],
    }
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        _conclude(summary, console)


def parse_speed(speed: str) -> float:
    """How many times as fast as the robot; infinite for as fast as this machine can.

    Raises:
      UserError: it is neither a word that is known nor a number above 0.
    """
    if speed in (REAL, MAX):
        return 1.0 if speed == REAL else math.inf
    with contextlib.suppress(ValueError):
        if 0.0 < (factor := float(speed)) < math.inf:
            return factor
    raise UserError(f"--speed is '{speed}'; choose {REAL}, {MAX}, or how many times as fast, as 0.5.")


def warn(learned: Learned, trust: Trust) -> str:
    """What is to be said of a model that knows nothing."""
    return (
        f"The model of {learned.session.path} is no better than 'nothing changes': {trust.words}. What it dreams says "
        f"little about the robot; let it learn on: '{learned.session.resume_command()}'."
    )


class Pace:
    """When frames are to come."""

    def __init__(self, period_s: float, factor: float):
        self.period_s = period_s
        self._pacer = None if math.isinf(factor) else Pacer(period_s / factor, time.monotonic())

    def wait(self) -> None:
        """Until the next frame is due; a late one is not caught up with."""
        if self._pacer is None:
            return
        self._pacer.finish(time.monotonic())
        self._pacer.begin(time.monotonic())
        time.sleep(max(0.0, self._pacer.tick_s - time.monotonic()))

    def restart(self) -> None:
        """The next frame is due now."""
        if self._pacer is not None:
            self._pacer.restart(time.monotonic())


def _run(
    dream: Dream,
    keys: DreamKeys,
    screen: Screen,
    stage: Stage | None,
    stop: StopRequest,
    pace: Pace,
    seconds: float | None,
) -> Account:
    """Frame after frame, until somebody ends it or so many `seconds` have been dreamed."""
    account = Account()
    most = math.inf if seconds is None else round(seconds / pace.period_s)
    if stage is not None:
        stage.show(0, dream.frame)
    pace.restart()
    while not (stop or keys.ended or account.frames >= most):
        begin_s = time.monotonic()
        for sentence in keys.obey(dream):
            screen.say(sentence)
            if stage is not None:
                stage.tell(account.frames, sentence)
        if keys.paused:
            screen.show_dream(dream.frame, dream, account.rate_hz, pace.period_s, paused=True)
            if stage is not None:
                stage.look()
            time.sleep(PAUSE_S)
            pace.restart()
            continue
        frame = dream.advance()
        if stage is not None:
            stage.show(account.frames + 1, frame)
        work_s = time.monotonic() - begin_s
        pace.wait()
        account.add(frame, work_s, time.monotonic() - begin_s)
        screen.show_dream(frame, dream, account.rate_hz, pace.period_s)
    return account


def _conclude(summary: dict[str, Any], console: Terminal) -> None:
    if not summary["frames"]:
        return
    console.print(
        Text(
            f"Dreamed {summary['dreamed_s']:.1f} s at {summary['frames_per_s']:.1f} frames/s (work for a frame: p50 "
            f"{summary['frame_ms']['p50']:.1f} ms, p95 {summary['frame_ms']['p95']:.1f} ms); reward "
            f"{summary['reward']:.2f} a step; you drove {summary['operated']:.0%} of it; {summary['outside']:.0%} "
            "would have been beyond anything that was ever measured, and was held there."
        ),
        soft_wrap=True,
    )
