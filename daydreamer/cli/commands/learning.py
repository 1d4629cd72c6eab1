"""A robot learns, live or in lock-step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daydreamer.cli.commands.options import (
    BodyOption,
    Dashboard,
    NewDirectory,
    NewSession,
    Overrides,
    RobotName,
    SessionArgument,
    TaskName,
    TwinFile,
)
from daydreamer.errors import UserError

Walker = Annotated[
    str,
    typer.Option(
        help="'twin' (simulated Unitree A1). 'a1' or 'go2': start its driver first, or use ros2 launch, which does. "
        "The robot then waits for you: press r, then Y."
    ),
]
Minutes = Annotated[float, typer.Option(help="Robot time of the session.")]
Preset = Annotated[str, typer.Option(help="Named settings, as the robot's folder has them: default, tiny ...")]
Seed = Annotated[int, typer.Option(help="Of exploration, networks, batches and twin.")]
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
    from daydreamer.cli.begin import Chosen, FromOthers
    from daydreamer.cli.drives import body_of
    from daydreamer.cli.learn import learn

    chosen = Chosen(robot, task, seed, preset, twin, overrides or [])
    others = FromOthers(parent, experience_share, demonstrations or [], demonstration_share)
    raise typer.Exit(learn(session, chosen, others, body=body_of(body), minutes=minutes, dashboard=dashboard))


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
    from daydreamer.cli.begin import Chosen, FromOthers
    from daydreamer.cli.drives import find_drive, find_walker
    from daydreamer.cli.learn import learn

    drive = find_walker(robot)
    if drive != find_drive(drive.robot, drive.body):
        raise UserError(
            f"ros2 launch alone knows what '{robot}' takes: 'ros2 launch daydreamer walk.launch.py robot:={robot}'."
        )
    chosen = Chosen(drive.robot, "walk", seed, preset, twin, overrides or [])
    others = FromOthers(parent, experience_share, demonstrations or [], demonstration_share)
    raise typer.Exit(learn(session, chosen, others, body=drive.body, minutes=minutes, dashboard=dashboard))


def train(
    robot: RobotName,
    out: NewDirectory,
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
    teacher_after: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="The task's scripted teacher stands by: where an episode has paid nothing for so long it intervenes, "
            "until the episode ends, and the policy learns from that, too (actor.teacher_after_s; actor.teacher_s says "
            "how long it acts). Successes that it had a part in are not the policy's.",
        ),
    ] = None,
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

    With --teacher-after nobody has to show anything: the task's scripted teacher steps in where nothing has been paid
    for long.

    With --from-logs the end of each log, a tenth, is held out, and what the model predicts of it is told every 250
    gradient steps. When that has not become better for long learning ends, and the session keeps what predicted best.

    \b
    As in:
      daydreamer train walk --steps 12000 --out sessions/quick
      daydreamer train so101 pick_place_fine --teacher-after 8 --steps 18000 \\
        --out taught
      daydreamer train a1 walk --from-logs sessions/monday \\
        --from-logs sessions/tuesday --out offline
    """
    from daydreamer.cli.begin import Chosen, FromOthers
    from daydreamer.cli.drives import find_walker
    from daydreamer.cli.offline import require_sense, train_offline
    from daydreamer.cli.train import train

    others = FromOthers(parent, experience_share, demonstrations or [], demonstration_share)
    require_sense(
        others,
        steps=steps,
        teacher_after=teacher_after,
        train_ratio=train_ratio,
        gradient_steps=gradient_steps,
        logs=logs or [],
    )
    if walker != "twin" and robot != "walk":
        raise UserError(f"--robot {walker} is of 'train walk'; which robot learns is said already: {robot}.")
    if robot == "walk":
        if task is not None:
            raise UserError(
                f"'train walk' is 'train a1 walk' and takes no task; write 'train a1 {task}', or another robot for a1."
            )
        drive = find_walker(walker)
        if drive.body != "twin":
            raise UserError(f"'{walker}' cannot be trained in lock-step, time does not wait for it; use its twin.")
        robot, task = drive.robot, "walk"
    chosen = Chosen(robot, task, seed, preset, twin, overrides or [])
    if logs or steps is None:
        raise typer.Exit(train_offline(chosen, logs=logs or [], gradient_steps=gradient_steps, out=out))
    raise typer.Exit(
        train(chosen, others, steps=steps, out=out, train_ratio=train_ratio, teacher_after_s=teacher_after)
    )


def resume(
    session: SessionArgument,
    minutes: Annotated[float | None, typer.Option(help="Further robot time; default: what is left.")] = None,
    dashboard: Dashboard = True,
) -> None:
    """Go on with a session after a stop or a crash: the same robot over the same interface. It waits as in walk."""
    from daydreamer.cli.learn import resume

    raise typer.Exit(resume(session, minutes, dashboard))
