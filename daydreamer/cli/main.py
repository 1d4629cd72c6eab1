"""The `daydreamer` command. What a command needs is imported when it runs, so that `--help` comes at once."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import daydreamer
from daydreamer.errors import USER_ERROR_STATUS, UserError
from daydreamer.texts import PrintableFormatter, printable

app = typer.Typer(
    name="daydreamer",
    help="A robot learns on itself within an hour, in the world model that it learns meanwhile.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _given(context: typer.Context) -> dict[str, Any]:
    """What was written on the command line, whatever the defaults are; by name."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name: context.params[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def _show_version(wanted: bool) -> None:
    if wanted:
        print(daydreamer.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


SessionArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Session directory.")]
LearnedArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Session that has learned it.")]
VersionOption = Annotated[
    str,
    typer.Option(
        metavar="best|newest|N",
        help="Which of its policies: 'best' is the one with the highest reward over a minute of what it chose itself, "
        "N a version.",
    ),
]
Sample = Annotated[
    bool, typer.Option("--sample", help="Act with the noise that it learned with, where otherwise the mean acts.")
]
RobotName = Annotated[str, typer.Argument(metavar="ROBOT", help="Who learns; 'daydreamer robots' lists them.")]
TaskName = Annotated[str | None, typer.Argument(metavar="[TASK]", help="What it learns; default: its usual task.")]
BodyOption = Annotated[
    str,
    typer.Option(
        metavar="twin|hardware",
        help="'twin': its simulation. 'hardware': start its driver first, or use ros2 launch, which does; the robot "
        "then waits for you: press r, then Y.",
    ),
]
Walker = Annotated[
    str,
    typer.Option(
        help="'twin' (simulated Unitree A1). 'a1' or 'go2': start its driver first, or use ros2 launch, which does. "
        "The robot then waits for you: press r, then Y."
    ),
]
Minutes = Annotated[float, typer.Option(help="Robot time of the session.")]
NewSession = Annotated[
    Path | None, typer.Option("--session", metavar="DIR", help="New directory for everything; default sessions/TIME.")
]
Preset = Annotated[str, typer.Option(help="Named settings, as the robot's folder has them: default, tiny ...")]
Seed = Annotated[int, typer.Option(help="Of exploration, networks, batches and twin.")]
TwinFile = Annotated[
    Path | None,
    typer.Option("--twin", metavar="FILE", help="Rehearse on the twin that 'daydreamer fit' found, before --set."),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Begin with what another session of this robot and task has learned, in its twin or as another of its "
        "kind: world model and policy are copied from its newest checkpoint, and it acts by them from the first step.",
    ),
]
FromExperience = Annotated[
    float | None,
    typer.Option(
        "--from-experience",
        metavar="SHARE",
        help="With --from: this share of what is replayed, 0 to 0.75, is of that session's experience at first, and "
        "less and less until robot minute 5 (learner.inherited_fade_s).  [default: 0.75]",
    ),
]
Demonstrations = Annotated[
    list[Path] | None,
    typer.Option(
        "--demonstrations",
        metavar="DIR",
        help="Learn from what was shown in this session as well, as 'daydreamer demonstrate' has recorded it, or an "
        "operator who intervened: half of each batch is of it, to the end, and random actions end after a tenth of "
        "their time. May be repeated.",
    ),
]
DemonstrationShare = Annotated[
    float | None,
    typer.Option(
        "--demonstration-share",
        metavar="SHARE",
        help="With --demonstrations: this share of what is replayed, up to 0.75, in place of a half "
        "(learner.demonstration_share).",
    ),
]
Dashboard = Annotated[bool, typer.Option(help="Show the session in a browser, on this machine only.")]
AddressOption = Annotated[
    str,
    typer.Option(
        help="Of the network interface to serve on; 0.0.0.0 for all. Other machines need the address that is printed, "
        "with its token, and are served by TLS."
    ),
]
PortOption = Annotated[int | None, typer.Option(help="Of the page; default: the first free one from 9090 on.")]
BrowserOption = Annotated[bool, typer.Option(help="Open the page if there is a display.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Change a setting, as learner.train_ratio=100. The session.yaml of a session has all; may be repeated.",
    ),
]


@app.command()
def learn(
    robot: RobotName,
    task: TaskName = None,
    body: BodyOption = "twin",
    minutes: Minutes = 60.0,
    session: NewSession = None,
    seed: Seed = 0,
    preset: Preset = "default",
    twin: TwinFile = None,
    overrides: Overrides = None,
    parent: From = None,
    experience_share: FromExperience = None,
    demonstrations: Demonstrations = None,
    demonstration_share: DemonstrationShare = None,
    dashboard: Dashboard = True,
) -> None:
    """Let a robot learn: twin or robot, actor and learner in real time over ROS 2.

    Keys in the terminal: space = emergency stop, x = reset it, p = pause, r = resume or set out, i = intervene; x and r
    ask for a capital Y. A robot waits until you set it out; a twin does not. A software stop is not a hardware stop:
    with a real robot have its own emergency stop in hand.
    """
    from daydreamer.cli.drives import body_of
    from daydreamer.cli.learn import learn

    status = learn(
        session,
        robot=robot,
        task=task,
        body=body_of(body),
        minutes=minutes,
        seed=seed,
        preset=preset,
        twin_file=twin,
        overrides=overrides or [],
        dashboard=dashboard,
        parent=parent,
        experience_share=experience_share,
        demonstrations=demonstrations or [],
        demonstration_share=demonstration_share,
    )
    raise typer.Exit(status)


@app.command()
def walk(
    minutes: Minutes = 60.0,
    session: NewSession = None,
    robot: Walker = "twin",
    seed: Seed = 0,
    preset: Preset = "default",
    twin: TwinFile = None,
    overrides: Overrides = None,
    parent: From = None,
    experience_share: FromExperience = None,
    demonstrations: Demonstrations = None,
    demonstration_share: DemonstrationShare = None,
    dashboard: Dashboard = True,
) -> None:
    """Let a quadruped learn to walk; without --robot the A1's twin. The same as learn with the task 'walk'.

    Keys in the terminal are as in learn.
    """
    from daydreamer.cli.drives import find_drive, find_walker
    from daydreamer.cli.learn import learn

    drive = find_walker(robot)
    if drive != find_drive(drive.robot, drive.body):
        raise UserError(
            f"ros2 launch alone knows what '{robot}' takes: 'ros2 launch daydreamer walk.launch.py robot:={robot}'."
        )
    status = learn(
        session,
        robot=drive.robot,
        task="walk",
        body=drive.body,
        minutes=minutes,
        seed=seed,
        preset=preset,
        twin_file=twin,
        overrides=overrides or [],
        dashboard=dashboard,
        parent=parent,
        experience_share=experience_share,
        demonstrations=demonstrations or [],
        demonstration_share=demonstration_share,
    )
    raise typer.Exit(status)


@app.command()
def play(
    learned: LearnedArgument,
    version: VersionOption = "best",
    body: BodyOption = "twin",
    minutes: Annotated[float, typer.Option(help="Robot time.")] = 10.0,
    sample: Sample = False,
    session: NewSession = None,
    seed: Annotated[int | None, typer.Option(help="Of twin and chance; default: that of DIR.")] = None,
    twin: TwinFile = None,
    overrides: Overrides = None,
    dashboard: Dashboard = True,
) -> None:
    """Let a robot do what it has learned in session DIR: its best policy drives, and nobody learns.

    The policy stays as it is, and nothing is tried: no random actions, no rhythms, no noise. What gets a fallen robot
    up again does so still. It is a session of its own, with a log, dashboard and report; DIR is only read, and may even
    be running, in another ROS domain. Keys and safety are as in learn: a robot waits until you set it out.

    As in: daydreamer play sessions/monday --minutes 5
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


@app.command()
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

    As in: daydreamer evaluate sessions/monday sessions/tuesday --out monday-and-tuesday.png

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


@app.command()
def demonstrate(
    context: typer.Context,
    robot: RobotName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="New session directory.")],
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
    seed: Annotated[int, typer.Option(help="Of twin and teacher.")] = 0,
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
    forgets it. By leader: a second SO-101, without torque, for pick_place_fine; bring it to where the tool is, as the
    terminal says, and the tool follows it. Nothing is written to its servos.

    You drive in real time, and the twin stands still while you do nothing. An episode that has ended is kept, unless
    you forget it before the next one begins. What is forgotten, or has not ended, is not written; only the task's own
    figures, as placements per minute, have counted it. Enter does not say that you have succeeded: reward is the task's
    own, and what you end before it has come is kept without.

    As in: daydreamer demonstrate so101 pick_place --out shown, then daydreamer train so101 pick_place
    --demonstrations shown --steps 12000 --out learned; or daydreamer demonstrate so101 pick_place_fine --by keyboard
    --out shown
    """
    from daydreamer.cli.demonstrate import SCRIPTED, Lesson, Onlooking, demonstrate, demonstrate_by_hand, refuse_stray
    from daydreamer.contract.leader import LeaderOptions

    refuse_stray(by, _given(context))
    leader = LeaderOptions(port=leader_port, calibration=calibration)
    lesson = Lesson(robot, task, out, episodes, seed, twin, overrides or [], json)
    if by == SCRIPTED:
        raise typer.Exit(demonstrate(lesson))
    onlooking = Onlooking(dashboard, address, port, browser)
    raise typer.Exit(demonstrate_by_hand(lesson, by, layout, onlooking, leader))


@app.command("import")
def import_dataset(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a LeRobotDataset v3.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="New session directory.")],
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

    As in: daydreamer import ~/.cache/huggingface/lerobot/me/cubes --robot so101 --task pick_place_fine
    --camera above=observation.images.top --out shown
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


@app.command()
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

    As in: daydreamer label sessions/monday, then daydreamer label sessions/monday --train --out placed.safetensors,
    then daydreamer learn so101 pick_place_fine --set success.classifier=placed.safetensors

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


@app.command()
def robots(json: Json = False) -> None:
    """List the robots that can learn, with their tasks, twins and drivers, and what each has been tried on."""
    from daydreamer.cli.robots import list_robots

    list_robots(as_json=json)


@app.command()
def resume(
    session: SessionArgument,
    minutes: Annotated[float | None, typer.Option(help="Further robot time; default: what is left.")] = None,
    dashboard: Dashboard = True,
) -> None:
    """Go on with a session after a stop or a crash: the same robot over the same interface. It waits as in walk."""
    from daydreamer.cli.learn import resume

    raise typer.Exit(resume(session, minutes, dashboard))


@app.command()
def status(
    session: SessionArgument,
    json: Json = False,
) -> None:
    """Show what a session is doing, what is wrong with it, and what to do about it."""
    from daydreamer.cli.status import show_status

    show_status(session, json)


@app.command()
def doctor(
    session: SessionArgument,
    json: Json = False,
    repair: Annotated[
        bool,
        typer.Option(help="Close the logs of actors that were killed, for other MCAP readers; nothing may be running."),
    ] = False,
) -> None:
    """Verify what a session has on disk: what is there, what is damaged, what to do. Changes nothing unless told."""
    from daydreamer.cli.doctor import doctor

    raise typer.Exit(doctor(session, json, repair))


@app.command()
def watch(
    session: SessionArgument,
    address: AddressOption = "127.0.0.1",
    port: PortOption = None,
    browser: BrowserOption = True,
    certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file for TLS; default: one that is made here, whose fingerprint is printed."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with its key, if it is not in the same file.")] = None,
) -> None:
    """Show a running or finished session in a browser."""
    from daydreamer.cli.dashboard import watch

    watch(session, address, port, browser, certificate, key)


@app.command()
def report(session: SessionArgument) -> None:
    """Tell a session's story in DIR/report: one page with pictures, and a verdict in words."""
    from daydreamer.cli.report import report

    report(session)


@app.command()
def compare(
    sessions: Annotated[list[Path], typer.Argument(metavar="DIR DIR ...", help="Session directories.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="PNG to write.")] = Path("comparison.png"),
    json: Json = False,
) -> None:
    """Draw sessions of one robot and task into one picture, and set their milestones side by side."""
    from daydreamer.cli.compare import compare

    compare(sessions, out, as_json=json)


@app.command()
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
    horizon: Annotated[
        float, typer.Option(min=0.1, max=600.0, metavar="SECONDS", help="How long each policy acts from each state.")
    ] = 10.0,
    starts: Annotated[int, typer.Option(min=16, max=65_536, help="States of the log from which it does.")] = 256,
    sample: Sample = False,
    seed: Annotated[int, typer.Option(help="Of chance, which is the same for each policy.")] = 0,
    json: Json = False,
) -> None:
    """Rank policies in a session's world model, without a step of the robot: reward, speed and falls of each.

    Each policy acts inside the model from many states of the session's log. The intervals say what other states would
    have changed. A model whose predictions are no better than 'nothing changes' is not asked; and it is said of which
    policies it knows nothing, because they go where it has never been.

    Policies of other sessions it ranked badly when that was measured: read docs/ranking.md before you choose.

    As in: daydreamer rank sessions/monday all sessions/tuesday
    """
    from daydreamer.cli.rank import rank

    rank(session, policies, horizon, starts, sample, seed, as_json=json)


@app.command()
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
    seed: Annotated[int, typer.Option(help="Of chance.")] = 0,
    dashboard: Annotated[bool, typer.Option(help="Draw it in a browser.")] = True,
    address: AddressOption = "127.0.0.1",
    port: PortOption = None,
    browser: BrowserOption = True,
    json: Json = False,
) -> None:
    """Walk in the dream: a session's world model runs live from a logged state, by keyboard or by its policy.

    Nothing moves but in the model; DIR is only read, and may be running. In the terminal there is a line with the
    reward foreseen, the task's figures, whose action it is and frames/s; in the browser, the robot.

    Keys: w a s d or arrows move the left stick, i j k l the right one, u o the cross, and take over: what they mean is
    the task's matter, as with a gamepad. Space puts all to the middle, t takes over or gives back to the policy, p
    pauses, r rewinds 5 s, b branches (a second robot goes on as it was driven, and you drive the first otherwise), c
    changes to the other, q ends. Without a terminal the policy drives.

    As in: daydreamer dream sessions/monday --minute 40
    """
    from daydreamer.cli.dream import dream

    dream(
        session,
        minute=minute,
        version=version,
        seconds=seconds,
        speed=speed,
        seed=seed,
        dashboard=dashboard,
        address=address,
        port=port,
        open_browser=browser,
        as_json=json,
    )


@app.command()
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

    As in: daydreamer wish sessions/monday 'backwards 0.3'
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


@app.command()
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

    As in: daydreamer export sessions/monday --format onnx --out walk.onnx
    """
    from daydreamer.cli.export import export

    export(session, form, out, version, sampled)


@app.command()
def train(
    robot: RobotName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="New session directory.")],
    task: TaskName = None,
    steps: Annotated[int | None, typer.Option(help="Environment steps; needed but for --from-logs.")] = None,
    train_ratio: Annotated[float | None, typer.Option(help="Replayed steps per environment step.")] = None,
    seed: Seed = 0,
    walker: Annotated[str, typer.Option("--robot", hidden=True)] = "twin",
    preset: Preset = "default",
    twin: TwinFile = None,
    overrides: Overrides = None,
    parent: From = None,
    experience_share: FromExperience = None,
    demonstrations: Demonstrations = None,
    demonstration_share: DemonstrationShare = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(
            "--from-logs",
            metavar="DIR",
            help="Learn from what this session has recorded, whoever chose in it, and take no step: model and policy, "
            "offline. May be repeated.",
        ),
    ] = None,
    gradient_steps: Annotated[
        int | None, typer.Option(help="With --from-logs: at most so many; default 10000. It ends by itself, see above.")
    ] = None,
) -> None:
    """Learn in lock-step, in one process without ROS, as fast as the machine allows; repeatable for a seed.

    'train walk' is 'train a1 walk'.

    With --from-logs the end of each log, a tenth, is held out, and what the model predicts of it is told every 250
    gradient steps. When that has not become better for long learning ends, and the session keeps what predicted best.
    As in: daydreamer train a1 walk --from-logs sessions/monday --from-logs sessions/tuesday --out offline
    """
    from daydreamer.cli.drives import find_walker
    from daydreamer.cli.offline import require_sense, train_offline
    from daydreamer.cli.train import train

    require_sense(
        steps=steps,
        train_ratio=train_ratio,
        gradient_steps=gradient_steps,
        logs=logs or [],
        parent=parent,
        experience_share=experience_share,
        demonstrations=demonstrations or [],
        demonstration_share=demonstration_share,
    )

    if robot == "walk":
        drive = find_walker(walker)
        if drive.body != "twin":
            raise UserError(f"'{walker}' cannot be trained in lock-step, time does not wait for it; use its twin.")
        robot, task = drive.robot, "walk"
    if logs or steps is None:
        status = train_offline(
            robot=robot,
            task=task,
            logs=logs or [],
            gradient_steps=gradient_steps,
            out=out,
            seed=seed,
            preset=preset,
            twin_file=twin,
            overrides=overrides or [],
        )
        raise typer.Exit(status)
    status = train(
        robot=robot,
        task=task,
        steps=steps,
        out=out,
        train_ratio=train_ratio,
        seed=seed,
        preset=preset,
        twin_file=twin,
        overrides=overrides or [],
        parent=parent,
        experience_share=experience_share,
        demonstrations=demonstrations or [],
        demonstration_share=demonstration_share,
    )
    raise typer.Exit(status)


@app.command()
def fit(
    session: SessionArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="YAML to write.")] = Path("twin.yaml"),
    stretches: Annotated[int, typer.Option(min=60, help="Of 0.15 s each, that a twin has to repeat.")] = 150,
    seed: Annotated[int, typer.Option(help="Of the search, and of which stretches.")] = 0,
    json: Json = False,
) -> None:
    """Find the twin that moves as a session's robot did: payload, friction, motors, delays, noise; takes minutes.

    From each of many moments at which the robot was on its feet and moving, a twin is told what the robot was told, and
    has to come out where the robot did. The file has an interval for each parameter: a session that is given it by
    --twin draws a robot from them by its seed. Half minutes of the log that were held out say how much better it is.
    """
    from daydreamer.cli.fit import fit

    fit(session, out, stretches, seed, as_json=json)


@app.command()
def bench(
    what: Annotated[str, typer.Argument(help="learner, actor or replay.")],
    workload: Annotated[
        str | None,
        typer.Option(
            help="'reference': DreamerV3's size1m on a vector of 33, imagining from every replayed step; "
            "'default': what walk runs; 'tiny': its preset of that name, to see whether this machine can do it at all; "
            "'image': of a robot with a camera. Without it: reference for the learner, default for the rest."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long the learner is timed, once it is compiled.")] = 20.0,
    json: Json = False,
) -> None:
    """Measure this machine: gradient steps, policy calls, or steps through log and replay."""
    from daydreamer.cli.bench import bench

    bench(what, as_json=json, workload=workload, learner_s=seconds)


@app.command("check-robot", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
    overrides: Overrides = None,
) -> None:
    """Find at the bench what would otherwise show at minute 40: compare a robot's driver with the robot's folder.

    Listens to the robot's topics, and says of each who publishes it, how often, how old it is when it comes, and
    whether names, units, axes and zeros are right; or why nothing comes. The camera is checked with
    --set twin.camera=true. With --move each joint is then moved by 9 degrees, which also finds exchanged names and
    wrong signs. Each row names cause and cure.

    Let the robot hang with free feet, and use --hanging; with its driver alone running, and nobody else commanding it.

    What follows --ros-args goes to the checking node: remappings, and -p 'foot_force_unloaded_n:=[15.0]' for feet
    whose zero is known. Exit status 1 if a check fails, 2 for a mistake in the command.
    """
    from daydreamer.cli.check import check_robot
    from daydreamer.cli.drives import body_of

    if robot == "twin":
        robot, body = "a1", "twin"
    raise typer.Exit(
        check_robot(robot, task, body_of(body), move, seconds, overrides or [], context.args, hanging=hanging)
    )


@app.command("check-contract")
def check_contract(robot: RobotName, task: TaskName = None) -> None:
    """Find out whether a robot's folder keeps its promises: specification, limits, twin, learning, pictures.

    Runs a short session of its twin, without ROS; a minute at most. Each row names cause and cure. Exit status 1 if a
    check fails, 2 for a mistake in the command.
    """
    from daydreamer.cli.contract import check_contract

    raise typer.Exit(check_contract(robot, task))


@app.command("new-robot")
def new_robot(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As my_cart; its package is made in ./NAME.")],
    like: Annotated[str, typer.Option(metavar="ROBOT", help="Which robot it is like; 'daydreamer robots' lists them.")],
) -> None:
    """Begin a robot of your own: a Python package that is a copy of a robot like it, found once it is installed."""
    from daydreamer.cli.new_robot import new_robot

    new_robot(name, like)


def main() -> None:
    """Entry point. A mistake of the user's is one line on stderr and exit status 2."""
    log = logging.StreamHandler()
    log.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    try:
        app()
    except UserError as error:
        print(f"daydreamer: {printable(error)}", file=sys.stderr)
        sys.exit(USER_ERROR_STATUS)


if __name__ == "__main__":
    main()
