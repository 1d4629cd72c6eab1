"""Robots and twins are listed, checked, made and fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daydreamer.cli.commands.options import BodyOption, Json, Overrides, RobotName, SessionArgument, TaskName

PASSES_ROS_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Settings of the command `check_robot`: what follows --ros-args is for its node."""

CommandInterface = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What the driver takes, as forward_position; default: what is usual for the robot."
    ),
]
ImageTransport = Annotated[
    str | None, typer.Option(metavar="auto|raw|compressed", help="How the camera's pictures come.  [default: auto]")
]


def robots(json: Json = False) -> None:
    """List the robots that can learn, with their tasks, twins and drivers, and what each has been tried on."""
    from daydreamer.cli.robots import list_robots

    list_robots(as_json=json)


def check_robot(
    context: typer.Context,
    robot: Annotated[
        str, typer.Option(help="'twin', or a robot as 'daydreamer robots' has it, whose driver is running.")
    ] = "twin",
    task: Annotated[str | None, typer.Option(help="Which of its tasks, as they may use other cameras.")] = None,
    body: BodyOption = "hardware",
    move: Annotated[
        bool | None,
        typer.Option(
            help="Move each joint by a few degrees; a robot has to hang free, with a hand at its emergency stop. "
            "Default: only the twin."
        ),
    ] = None,
    hanging: Annotated[
        bool,
        typer.Option(
            "--hanging",
            help="The feet are in the air: what they read there is their zero, which is shown as the parameter "
            "foot_force_unloaded_n, and fails where a foot would count as standing. --move asks for the same.",
        ),
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.2, max=3600.0, help="How long to listen first.")] = 3.0,
    command_interface: CommandInterface = None,
    image_transport: ImageTransport = None,
    overrides: Overrides = None,
) -> None:
    """Find at the bench what would otherwise show at minute 40: compare a robot's driver with the robot's folder.

    Listens to the robot's topics, and says of each who publishes it, how often, how old it is when it comes, and
    whether names, units, axes and zeros are right; or why nothing comes. The camera is checked with
    --set twin.camera=true. With --move each joint is then moved by 9 degrees, which also finds exchanged names and
    wrong signs. Each row names cause and cure.

    Let the robot hang with free feet, and use --hanging; with its driver alone running, and nobody else commanding it.

    What follows --ros-args is for the node that checks: remappings, and -p 'foot_force_unloaded_n:=[15.0]' for feet
    whose zero is known. Exit status 1 if a check fails, 2 for a mistake in the command.
    """
    from daydreamer.cli.check import check_robot
    from daydreamer.cli.drives import body_of

    if robot == "twin":
        robot, body = "a1", "twin"
    raise typer.Exit(
        check_robot(
            robot,
            task,
            body_of(body),
            move,
            seconds,
            overrides or [],
            context.args,
            hanging=hanging,
            command_interface=command_interface,
            image_transport=image_transport,
        )
    )


def check_contract(robot: RobotName, task: TaskName = None) -> None:
    """Find out whether a robot's folder keeps its promises: specification, limits, twin, learning, pictures.

    Runs a short session of its twin, without ROS; a minute at most. Each row names cause and cure. Exit status 1 if a
    check fails, 2 for a mistake in the command.
    """
    from daydreamer.cli.contract import check_contract

    raise typer.Exit(check_contract(robot, task))


def new_robot(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As my_cart; its package is made in ./NAME.")],
    like: Annotated[str, typer.Option(metavar="ROBOT", help="Which robot it is like; 'daydreamer robots' lists them.")],
) -> None:
    """Begin a robot of your own: a Python package that is a copy of a robot like it, found once it is installed."""
    from daydreamer.cli.new_robot import new_robot

    new_robot(name, like)


def fit(
    session: SessionArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="YAML to write.")] = Path("twin.yaml"),
    stretches: Annotated[int, typer.Option(min=60, help="Of 0.15 s each, that a twin has to repeat.")] = 150,
    seed: Annotated[int, typer.Option(min=0, help="Of the search, and of which stretches.")] = 0,
    json: Json = False,
) -> None:
    """Find the twin that moves as a session's robot did: payload, friction, motors, delays, noise; takes minutes.

    From each of many moments at which the robot was on its feet and moving, a twin is told what the robot was told, and
    has to come out where the robot did. The file has an interval for each parameter: a session that is given it by
    --twin draws a robot from them by its seed. Half minutes of the log that were held out say how much better it is.
    """
    from daydreamer.cli.fit import fit

    fit(session, out, stretches, seed, as_json=json)
