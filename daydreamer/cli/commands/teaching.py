"""A task is shown to a robot, or it is said when it was done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from daydreamer.cli.commands.options import (
    AddressOption,
    BrowserOption,
    Json,
    NewDirectory,
    Overrides,
    PortOption,
    RobotName,
    TaskName,
    TwinFile,
)


def _given(context: typer.Context) -> dict[str, Any]:
    """What was written on the command line, whatever the defaults are; by name."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name: context.params[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def demonstrate(
    context: typer.Context,
    robot: RobotName,
    out: NewDirectory,
    task: TaskName = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="scripted|keyboard|gamepad|leader",
            help="Who shows it: the robot's own teacher, or you, and by what.",
        ),
    ] = "scripted",
    layout: Annotated[
        str,
        typer.Option(
            metavar="xbox|directinput|game_controller",
            help="Of the gamepad: joy_node with an Xbox controller, joy_node with a Logitech switched to D or another "
            "one whose sticks come first, or game_controller_node.",
        ),
    ] = "xbox",
    leader_port: Annotated[
        str | None, typer.Option(metavar="PORT", help="Of the leader's adapter, as /dev/ttyACM1.")
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="LeRobot's file of the leader, to make sure that it is this one."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="That are shown, and kept.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of twin and teacher.")] = 0,
    twin: TwinFile = None,
    overrides: Overrides = None,
    dashboard: Annotated[bool, typer.Option(help="Draw it in a browser, where you drive by hand.")] = True,
    address: AddressOption = "127.0.0.1",
    port: PortOption = None,
    browser: BrowserOption = True,
    json: Json = False,
) -> None:
    """Show a task in a robot's twin, by its scripted teacher or by hand; others learn from it by --demonstrations DIR.

    Nobody learns meanwhile. Each step is logged as an operator's intervention, so that status, report, dashboard and
    export have the session as any other. The scripted teacher, which comes with some robots' folders, may know what the
    robot does not, as where the cube is; it shows in lock-step, as fast as the machine allows. Told is the return of
    each episode. Ctrl-C keeps what was shown, as does a lost terminal, and ends with exit status 130.

    By keyboard, in a terminal, also over SSH: w a s d, the arrows, q and e steer; what each does is said at the
    beginning, as the task has it. A key moves the robot for one step, and as long as it repeats. Enter ends an episode,
    Backspace forgets it, p pauses. By gamepad: what ROS 2 publishes on joy, while LB is held; A ends an episode, B
    forgets it; start 'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ros2 run joy joy_node', and let nobody else in the ROS
    domain, on this machine or in the network, listen to a gamepad. By leader: a second SO-101, without torque, for
    pick_place_fine; bring it to where the tool is, as the terminal says, and the tool follows it. Nothing is written to
    its servos.

    You drive in real time, and the twin stands still while you do nothing. An episode that has ended is kept, unless
    you forget it before the next one begins. What is forgotten, or has not ended, is not written; only the task's own
    figures, as placements per minute, have counted it. Enter does not say that you have succeeded: reward is the task's
    own, and what you end before it has come is kept without.

    \b
    As in:
      daydreamer demonstrate so101 pick_place --out shown
      daydreamer demonstrate so101 pick_place_fine --by keyboard --out shown
    and then:
      daydreamer train so101 pick_place --demonstrations shown --steps 12000 \\
        --out learned
    """
    from daydreamer.cli.begin import Chosen
    from daydreamer.cli.demonstrate import SCRIPTED, Lesson, Onlooking, demonstrate, demonstrate_by_hand, refuse_stray
    from daydreamer.contract.leader import LeaderOptions

    refuse_stray(by, _given(context))
    leader = LeaderOptions(port=leader_port, calibration=calibration)
    lesson = Lesson(Chosen(robot, task, seed, twin_file=twin, overrides=overrides or []), out, episodes, json)
    if by == SCRIPTED:
        raise typer.Exit(demonstrate(lesson))
    onlooking = Onlooking(dashboard, address, port, browser)
    raise typer.Exit(demonstrate_by_hand(lesson, by, layout, onlooking, leader))


def import_dataset(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a LeRobotDataset v3.")],
    out: NewDirectory,
    robot: Annotated[
        str | None, typer.Option(metavar="ROBOT", help="That it is of; default: as the dataset calls it.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="That is shown; default: that of the dataset, or the usual one."),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CAMERA=FEATURE",
            help="Which pictures are those of a camera of the task, as above=observation.images.top; default: those of "
            "its name. May be repeated.",
        ),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            metavar="degrees|normalised",
            help="Of joint angles, which a dataset does not say: degrees, as LeRobot records today, or -100 to 100 of "
            "the calibrated range, as it does with use_degrees=false.  [default: degrees]",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="LeRobot's file of the arm; default: the ranges of the published one."),
    ] = None,
    success: Annotated[
        str | None,
        typer.Option(
            metavar="rule|last",
            help="By what an episode is a success: the task's own rule, from gripper and camera, or 'last': it has "
            "succeeded at its last step, because you know that all of them did.  [default: rule]",
        ),
    ] = None,
    body: Annotated[str, typer.Option(metavar="twin|hardware", help="What it was recorded on.")] = "hardware",
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Make a session of demonstrations of a LeRobotDataset; others learn from it by --demonstrations DIR.

    One that 'daydreamer export --format lerobot' has written comes back as it was logged. One that LeRobot's own tools
    have recorded, of an SO-101, is made into what the task would have observed: brought to its control rate, slowed
    down where it moves faster than the task's largest steps, pictures scaled, actions made of how the tool was told to
    move, and rewarded by the task's own rule. Told are the return of each episode, what was left out and why, and what
    in it the task cannot do. Needs pip install 'daydreamer[lerobot]'.

    \b
    As in:
      daydreamer import ~/.cache/huggingface/lerobot/me/cubes --robot so101 \\
        --task pick_place_fine --camera above=observation.images.top --out shown
    """
    from daydreamer.cli.drives import body_of
    from daydreamer.cli.import_dataset import import_dataset

    import_dataset(
        dataset,
        out=out,
        robot=robot,
        task=task,
        cameras=camera or [],
        units=units,
        calibration=calibration,
        success=success,
        body=body_of(body),
        overrides=overrides or [],
        as_json=json,
    )


def label(
    sessions: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Sessions of one robot and task, which has a camera.")
    ],
    camera: Annotated[
        str | None,
        typer.Option(metavar="CAMERA", help="Whose pictures are meant; default: the one that a success is seen by."),
    ] = None,
    episodes: Annotated[
        int, typer.Option(min=1, help="That are asked of, paid ones and others, of those that nobody has labelled.")
    ] = 20,
    train: Annotated[bool, typer.Option("--train", help="Train on what was said, of all DIRs together.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --train: safetensors to write, in the place of what is there."),
    ] = None,
    gradient_steps: Annotated[int, typer.Option(min=1, max=100_000, help="With --train.")] = 1500,
    seed: Annotated[int, typer.Option(min=0, help="With --train: of networks, batches, and what is held out.")] = 0,
    json: Json = False,
) -> None:
    """Say of a session's pictures whether they show the task done; then train a classifier that pays for it.

    Without --train, of each episode a sheet of numbered pictures is written, DIR/labels/*.png, and you type which of
    them show a success: '19-24', 'none', or '19-24 ?18' where 18 is unclear. It needs a terminal alone: over SSH copy
    the sheets to where there is a screen. Each answer is kept at once, in DIR/labels, and you may go on another time.

    With --train, a quarter of the episodes is held out, and by their pictures is told how often the classifier is
    right, takes something else for a success, and misses one, with 95 % intervals (Wilson's). It compares a picture
    with that with which the episode began. If it knows too little to pay, or is wrong too often, nothing is written.

    \b
    As in, one after the other:
      daydreamer label sessions/monday
      daydreamer label sessions/monday --train --out placed.safetensors
      daydreamer learn so101 pick_place_fine \\
        --set success.classifier=placed.safetensors

    Exit status 1 if it is not good enough, 2 for a mistake in the command, 130 if you broke off.
    """
    from daydreamer.cli.label import label

    raise typer.Exit(
        label(
            sessions,
            camera=camera,
            episodes=episodes,
            train=train,
            out=out,
            gradient_steps=gradient_steps,
            seed=seed,
            as_json=json,
        )
    )
