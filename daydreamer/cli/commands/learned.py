"""What was learned drives a robot, is evaluated, and is taken along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daydreamer.cli.commands.options import (
    BodyOption,
    Dashboard,
    Json,
    NewSession,
    Overrides,
    Sample,
    SessionArgument,
    TwinFile,
    VersionOption,
)


def play(
    learned: Annotated[Path, typer.Argument(metavar="DIR", help="Session that has learned it.")],
    version: VersionOption = "best",
    body: BodyOption = "twin",
    minutes: Annotated[float, typer.Option(help="Robot time.")] = 10.0,
    sample: Sample = False,
    session: NewSession = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of twin and chance; default: that of DIR.")] = None,
    twin: TwinFile = None,
    overrides: Overrides = None,
    dashboard: Dashboard = True,
) -> None:
    """Let a robot do what it has learned in session DIR: its best policy drives, and nobody learns.

    The policy stays as it is, and nothing is tried: no random actions, no rhythms, no noise. What gets a fallen robot
    up again does so still. It is a session of its own, with a log, dashboard and report; DIR is only read, and may even
    be running, in another ROS domain. Keys and safety are as in learn: a robot waits until you set it out.

    \b
    As in:
      daydreamer play sessions/monday --minutes 5
    """
    from daydreamer.cli.drives import body_of
    from daydreamer.cli.play import play

    status = play(
        learned,
        version=version,
        session_directory=session,
        body=body_of(body),
        minutes=minutes,
        seed=seed,
        samples=sample,
        twin_file=twin,
        overrides=overrides or [],
        dashboard=dashboard,
    )
    raise typer.Exit(status)


def evaluate(
    sessions: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Sessions of one robot and task that have learned it.")
    ],
    episodes: Annotated[int, typer.Option(min=1, help="That each robot does, one after the other.")] = 10,
    robots: Annotated[int, typer.Option(min=0, help="So many are drawn at random.")] = 20,
    version: VersionOption = "best",
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="How long an episode is at most; default: the task's own length.")
    ] = None,
    sample: Sample = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the first robot; the others have those that follow.")] = 1000,
    twin: TwinFile = None,
    overrides: Overrides = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one for each core.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Picture to write, by its name a .png or .svg: each robot a dot."),
    ] = None,
    json: Json = False,
) -> None:
    """Say how good a session's policy is: on the robot as published, and on robots that differ from it at random.

    Each robot is a twin that is set out once, and does its episodes one after the other: as in a session nobody picks
    it up. The policy is frozen, nothing is tried, and what gets a fallen robot up does so. Robots drawn at random
    differ in payload, masses, friction, motors, delay and noise (twin.randomisation); the one as published is set out
    as often as there are of them, from other beginnings. It runs faster than real time, one robot on each core; DIR is
    only read, and may even be running.

    Told are reward, the task's figures, what happens to it per minute, as falls, the mechanical cost of transport (work
    of the motors for each newton carried a metre), and by how much actions change from step to step; by the simulator's
    truth where it knows better than the robot. Each with median, spread and a 95 % interval of the mean, and with the
    worst robot by name. Several sessions drive the same robots, and differences are taken robot by robot.

    \b
    As in:
      daydreamer evaluate sessions/monday sessions/tuesday --out both.png

    Exit status 1 if the physics of a robot broke down, 2 for a mistake in the command.
    """
    from daydreamer.cli.evaluate import evaluate

    status = evaluate(
        sessions,
        version=version,
        episodes=episodes,
        seconds=seconds,
        robots=robots,
        seed=seed,
        workers=workers,
        samples=sample,
        twin_file=twin,
        overrides=overrides or [],
        out=out,
        as_json=json,
    )
    raise typer.Exit(status)


def export(
    session: SessionArgument,
    form: Annotated[str, typer.Option("--format", metavar="onnx|csv|lerobot", help="See below.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="To write, in the place of what is there; of lerobot a new directory.")
    ],
    version: Annotated[
        str | None, typer.Option(metavar="newest|N", help="Of onnx: which policy, by its number; default: the newest.")
    ] = None,
    sampled: Annotated[
        bool,
        typer.Option(
            "--sampled",
            help="Of onnx: latents and action are drawn by random numbers that are inputs, as while learning; "
            "otherwise the likeliest latents and the mean action.",
        ),
    ] = False,
) -> None:
    """Take along what a session has: its policy for another runtime, its steps for other programs.

    onnx: encoder, recurrent step and actor in one model; what is remembered goes in and comes out by name.
    docs/export.md has the ten lines that run it. Needs pip install 'daydreamer[export]'.

    csv: a row for each step, a column for each number, without images. daydreamer.load(DIR) in a notebook has the same
    as a data frame.

    lerobot: a LeRobotDataset v3.0, with a video for each camera. Needs pip install 'daydreamer[lerobot]'.

    \b
    As in:
      daydreamer export sessions/monday --format onnx --out walk.onnx
    """
    from daydreamer.cli.export import export

    export(session, form, out, version, sampled)
