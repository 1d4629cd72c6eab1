"""A session's world model is an instrument: it ranks policies, dreams, and plans for wishes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daydreamer.cli.commands.options import (
    AddressOption,
    BrowserOption,
    Json,
    Overrides,
    PortOption,
    Sample,
    VersionOption,
)


def rank(
    session: Annotated[Path, typer.Argument(metavar="DIR", help="Session whose world model is asked.")],
    policies: Annotated[
        list[str],
        typer.Argument(
            metavar="POLICY...",
            help="A version of DIR, 'best', 'newest' or 'all'; the directory of another session, whose best policy is "
            "meant; or the file of a snapshot.",
        ),
    ],
    model: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR2", help="Session whose model is asked beside that of DIR; several may be."),
    ] = None,
    horizon: Annotated[
        float, typer.Option(min=0.1, max=600.0, metavar="SECONDS", help="How long each policy acts from each state.")
    ] = 10.0,
    starts: Annotated[int, typer.Option(min=16, max=65_536, help="States of each log from which it does.")] = 256,
    sample: Sample = False,
    seed: Annotated[int, typer.Option(min=0, help="Of chance, which is the same for each policy.")] = 0,
    json: Json = False,
) -> None:
    """Rank policies in a session's world model, without a step of the robot: reward, speed and falls of each.

    Each policy acts inside the model from many states of the session's log in which a policy acted. The intervals say
    what other states would have changed. A model whose predictions are no better than 'nothing changes' is not asked;
    and it is said of which policies it knows nothing, because they go where it has never been.

    A model of one session knows the gaits of that one. To rank policies of others, learn a model from the logs of many
    with the option --from-logs of 'daydreamer train'; docs/ranking.md says how well that goes.

    \b
    As in:
      daydreamer rank sessions/monday all sessions/tuesday
    """
    from daydreamer.cli.rank import rank

    rank(session, policies, model or (), horizon, starts, sample, seed, as_json=json)


def dream(
    session: Annotated[Path, typer.Argument(metavar="DIR", help="Session whose world model dreams.")],
    minute: Annotated[
        float | None, typer.Option(min=0.0, help="Robot minute of its log to begin next to; default: its end.")
    ] = None,
    version: VersionOption = "best",
    seconds: Annotated[float | None, typer.Option(min=0.05, help="Dreamed, after which it ends by itself.")] = None,
    speed: Annotated[
        str, typer.Option(metavar="real|max|FACTOR", help="As the robot, as fast as it goes, or so many times as fast.")
    ] = "real",
    seed: Annotated[int, typer.Option(min=0, help="Of chance.")] = 0,
    gamepad: Annotated[
        str | None,
        typer.Option(
            metavar="xbox|directinput|game_controller",
            help="Drive by the gamepad that ROS 2 publishes on joy: joy_node with an Xbox controller, joy_node with a "
            "Logitech switched to D or another one whose sticks come first, or game_controller_node.",
        ),
    ] = None,
    dashboard: Annotated[bool, typer.Option(help="Draw it in a browser.")] = True,
    address: AddressOption = "127.0.0.1",
    port: PortOption = None,
    browser: BrowserOption = True,
    json: Json = False,
) -> None:
    """Walk in the dream: a session's world model runs live from a logged state, by keyboard, gamepad or its policy.

    Nothing moves but in the model; DIR is only read, and may be running. In the terminal there is a line with the
    reward foreseen, the task's figures, whose action it is and frames/s; in the browser, the robot.

    Keys: w a s d or arrows move the left stick, i j k l the right one, u o the cross, and take over: what they mean is
    the task's matter, as with a gamepad. Space puts all to the middle, t takes over or gives back to the policy, p
    pauses, r rewinds 5 s, b branches (a second robot goes on as it was driven, and you drive the first otherwise), c
    changes to the other, q ends. Without a terminal the policy drives.

    With --gamepad you drive while its dead-man button is held (LB of an Xbox controller), as in a live session, and
    the policy while it is let go; two more buttons branch and rewind (A and B), and the keys do the rest. It needs
    ROS 2, 'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ros2 run joy joy_node', and nobody else in the ROS domain, on this
    machine or in the network, who listens to a gamepad.

    \b
    As in:
      daydreamer dream sessions/monday --minute 40
    """
    from daydreamer.cli.dream import dream

    dream(
        session,
        minute=minute,
        version=version,
        seconds=seconds,
        speed=speed,
        seed=seed,
        gamepad=gamepad,
        dashboard=dashboard,
        address=address,
        port=port,
        open_browser=browser,
        as_json=json,
    )


def wish(
    session: Annotated[Path, typer.Argument(metavar="DIR", help="Session whose world model plans.")],
    wish: Annotated[
        str | None,
        typer.Argument(
            metavar="[WISH]", help="As 'backwards 0.3', 'turn -0.6' or 'crouch'; without one, those that there are."
        ),
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(metavar="FORMULA", help="Wish for this instead, as '2*up_z - abs(forward_velocity_m_s + 0.3)'."),
    ] = None,
    python: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Or for what reward(signals) in this file of your own returns; it is run."),
    ] = None,
    proposal: Annotated[
        str,
        typer.Option(
            metavar="policy|none",
            help="What plans vary: what the policy would do, or the action 0, with which a quadruped stands.",
        ),
    ] = "none",
    horizon: Annotated[float, typer.Option(min=0.05, max=10.0, metavar="SECONDS", help="How far a plan goes.")] = 0.6,
    samples: Annotated[int, typer.Option(min=2, max=65_536, help="Sequences of actions that are tried.")] = 96,
    caution: Annotated[
        float, typer.Option(min=0.0, max=1e6, help="What it costs to go where the log was not; 0 is fearless.")
    ] = 5.0,
    train: Annotated[
        int,
        typer.Option(
            min=0,
            max=1_000_000,
            metavar="GRADIENT_STEPS",
            help="Train a policy for it in dreams as well; 2000 take some minutes. 0: none.",
        ),
    ] = 0,
    seconds: Annotated[float, typer.Option(min=0.2, max=3600.0, help="Of each attempt, in the twin.")] = 10.0,
    attempts: Annotated[int, typer.Option(min=1, max=1000, help="Each from another beginning.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of beginnings and chance.")] = 0,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Wish for something that a session's robot has not learned: its twin is driven by planning in the model it has.

    Before each control step, sequences of actions are tried in DIR's world model, and what earns most of the wished
    reward is done. With --train, a policy learns in dreams alone to earn it, and drives as well. Told is what came in
    the twin, beside the policy alone, and how long a plan takes. DIR is only read, and may be running. What the log
    has nothing of, the model knows nothing of: read docs/wishes.md.

    'daydreamer wish DIR' lists the wishes of DIR's robot, and the signals that rewards are made of. A formula has
    numbers, signals, + - * / ** and comparisons, and abs, min, max, clip, where, exp, log, sqrt, sin, cos, tanh; it can
    do nothing else, so that it may come from anybody. A Python file can do all that you may: take only your own.

    \b
    As in:
      daydreamer wish sessions/monday 'backwards 0.3'
    """
    from daydreamer.cli.wish import wish as run

    run(
        session,
        wish,
        formula=reward,
        python=python,
        proposal=proposal,
        horizon_s=horizon,
        samples=samples,
        caution=caution,
        gradient_steps=train,
        seconds=seconds,
        attempts=attempts,
        seed=seed,
        overrides=overrides or [],
        as_json=json,
    )
