"""Makes a session out of what an operator chose, or finds the robot of one that is there."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from daydreamer import accelerators
from daydreamer.config import Body, SessionConfig, SuccessConfig, drop_retired, parse_overrides, resolve
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.models.requirements import require_learnable
from daydreamer.policy.snapshot import SnapshotMetadata, copy_snapshot
from daydreamer.robots.registry import ON_HARDWARE, TaskEntry, find_robot, make_task, provider_of
from daydreamer.session.demonstrated import Demonstrated, Recorded
from daydreamer.session.directory import Session, Teacher
from daydreamer.session.known_motions import hand_down
from daydreamer.session.parentage import Parent
from daydreamer.session.played import PlayedPolicy
from daydreamer.spec import spec_difference
from daydreamer.storage.identified import digest_of, read_classifier_file

CHOSEN = ("robot", "task", "body", "preset", "seed", "minutes")
"""Settings of a session that a command is told as such."""
RANDOM_SHARE_IF_SHOWN, LEAST_OWN_S = 0.1, 10.0
"""Of the time with random actions, that is left beside demonstrations; and how much of its own a robot has experienced
before it learns, if its preset asks for more."""


def configure(
    *,
    robot: str,
    minutes: float,
    seed: int,
    task: str | None = None,
    body: Body = "twin",
    preset: str = "default",
    twin: Mapping[str, Any] | None = None,
    overrides: Iterable[str] = (),
    parent: Parent | None = None,
    is_shown: bool = False,
) -> SessionConfig:
    """The configuration of a new session: defaults, what suits this machine's GPU, preset, `section.key=value`.

    Args:
      task: None for the robot's usual one.
      twin: settings of its section of that name, as of a twin that was fitted.
      parent: the session that it begins with, whose settings of the networks it takes over.
      is_shown: there are demonstrations.

    Raises:
      UserError: unknown robot, task, preset or key, a body that the robot does not have, an unusable value, or
        networks that are not the parent's.
    """
    entry = find_robot(robot)
    task = task or entry.usual_task
    entry.task(task)
    _check(minutes, robot, body)
    arguments = {"robot": robot, "task": task, "body": body, "preset": preset, "seed": seed, "minutes": minutes}
    settings = entry.preset(task, preset, body)
    fitted = {} if twin is None else {"twin": twin}
    usual = (accelerators.settings(settings), settings, arguments, fitted)
    said = _said(overrides)
    taken_over = parent.settings(resolve(*usual, said)) if parent else {}
    shown = _beside_demonstrations(resolve(*usual, taken_over)) if is_shown else {}
    config = _identified(resolve(*usual, taken_over, shown, said))
    if parent:
        parent.require_same_networks(config)
    elif config.learner.inherited_share:
        raise UserError("learner.inherited_share is of another session's experience; name that session with --from.")
    if config.learner.demonstration_share and not is_shown:
        raise UserError(
            "learner.demonstration_share is of demonstrations; name their sessions with --demonstrations, under ros2 "
            "launch with demonstrations:=."
        )
    return config


def _beside_demonstrations(config: SessionConfig) -> dict[str, dict[str, Any]]:
    """What demonstrations change of settings that would do without.

    Of others there is either what they have shown or what one of them has experienced. And whoever has been shown what
    pays does not have to find it by chance.
    """
    random_s = RANDOM_SHARE_IF_SHOWN * config.actor.random_s
    minimum_s = min(config.learner.minimum_s, max(LEAST_OWN_S, random_s))
    return {"actor": {"random_s": random_s}, "learner": {"inherited_share": 0.0, "minimum_s": minimum_s}}


def configure_played(
    learned: Session,
    metadata: SnapshotMetadata,
    *,
    body: Body,
    minutes: float,
    seed: int | None = None,
    samples: bool = False,
    twin: Mapping[str, Any] | None = None,
    overrides: Iterable[str] = (),
) -> SessionConfig:
    """The configuration of a session in which a frozen policy acts: as it was learned with, but without exploration.

    What gets a fallen robot up stays as it was, and so does the twin. On hardware that it was not learned on there is
    what hardware asks for beside.

    Args:
      learned: the session that the policy is of.
      metadata: of its snapshot.
      seed: None for that of `learned`, with which a twin that was drawn at random is the same again.
      samples: the policy acts with the noise that it learned with; otherwise by its mean.
      twin: see `configure`; None for that of `learned`.

    Raises:
      UserError: see `configure`; or the robot is not installed, or observes or does something else now.
    """
    find_robot(learned.config.robot, learned.record.robot_package).task(learned.config.task)
    _check(minutes, learned.config.robot, body)
    model = dict(metadata.model)
    drop_retired(model)
    playing = {
        "body": body,
        "minutes": minutes,
        "seed": learned.config.seed if seed is None else seed,
        "actor": {
            "random_s": 0.0,
            "rhythm_hz": None,
            "draws_wishes": False,
            "teacher_after_s": None,
            "teacher_s": None,
            "plan": {"samples": 0},
        },
        "model": model if samples else model | {"acting_noise": 0.0},
    }
    here = ON_HARDWARE if body == "hardware" and learned.config.body != body else {}
    fitted = {} if twin is None else {"twin": twin}
    config = _identified(resolve(msgspec.to_builtins(learned.config), here, playing, fitted, _said(overrides)))
    spec = make_task(config).spec
    if spec.hash != learned.spec.hash:
        difference = spec_difference(spec, learned.spec)
        raise SpecMismatch(
            f"The policies of {learned.path} are for another robot than this one: {difference}. Use them with the "
            "sensors, settings and version of the robot that they were learned with."
        )
    return config


def _said(overrides: Iterable[str]) -> dict[str, Any]:
    """What an operator has set; who names another classifier does not mean the content of the one before.

    Raises:
      UserError: see `parse_overrides`; or it is what other settings depend on, as those of hardware on the body.
    """
    said = parse_overrides(overrides)
    if chosen := [name for name in CHOSEN if name in said]:
        raise UserError(
            f"'{chosen[0]}' cannot be set beside the other settings, some of which depend on it; choose it in the "
            f"command itself, where it has an option or an argument for it, or as {chosen[0]}:= under ros2 launch."
        )
    success = said.get("success")
    if isinstance(success, dict) and "classifier" in success:
        success.setdefault("sha256", "")
    return said


def _identified(config: SessionConfig) -> SessionConfig:
    """A configuration that says which content the classifier has that it names, and where it is.

    Raises:
      UserError: it cannot be read, or the task is not paid by one.
    """
    success = config.success
    if not success.classifier or success.sha256:
        return config
    find_robot(config.robot).success_camera(config.task)
    path = Path(success.classifier).expanduser().absolute()
    identified = SuccessConfig(classifier=str(path), sha256=digest_of(read_classifier_file(path)))
    return msgspec.structs.replace(config, success=identified)


def _check(minutes: float, robot: str, body: Body) -> None:
    if not minutes > 0:
        raise UserError(f"A session of {minutes:g} minutes would do nothing; choose --minutes above 0.")
    if body == "twin" and find_robot(robot).twin is None:
        raise UserError(f"Robot '{robot}' has no twin to rehearse in; use --body hardware, or a robot that has one.")


def new_session(
    directory: Path | None,
    config: SessionConfig,
    parent: Parent | None = None,
    endow: Callable[[Session], object] = lambda session: None,
    *,
    demonstrations: tuple[Demonstrated, ...] = (),
    logs: tuple[Recorded, ...] = (),
    teacher: Teacher | None = None,
) -> Session:
    """A new session in `directory`; without one, in `sessions/` of the working directory, named by the local time.

    Args:
      parent: the session that it begins with.
      endow, demonstrations, logs, teacher: see `Session.create`.

    Raises:
      SpecMismatch: the parent is of another robot or task.
      UserError: nothing could be learned with these settings, or see `Session.create`.
    """
    return _create(directory, config, None, parent, endow, demonstrations, logs, teacher)


def new_played_session(
    directory: Path | None, config: SessionConfig, learned: Session, plays: PlayedPolicy, snapshot: Path
) -> Session:
    """As `new_session`, with a copy of the snapshot that it plays: it is complete without `learned`, the session of it.

    Raises:
      UserError: see `Session.create` and `copy_snapshot`.
    """

    def endow(session: Session) -> None:
        copy_snapshot(snapshot, session.policy)
        hand_down(learned, session)

    return _create(directory, config, plays, None, endow)


def _create(
    directory: Path | None,
    config: SessionConfig,
    plays: PlayedPolicy | None,
    parent: Parent | None,
    endow: Callable[[Session], object],
    demonstrations: tuple[Demonstrated, ...] = (),
    logs: tuple[Recorded, ...] = (),
    teacher: Teacher | None = None,
) -> Session:
    if directory is None:
        directory = Path("sessions") / datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    task = make_task(config)
    try:
        require_learnable(task.spec, config.model, config.learner)
    except ValueError as error:
        raise UserError(f"Nothing could be learned in this session: {error}. Change it with --set.") from error
    if parent:
        parent.require_same_robot(task.spec)
    return Session.create(
        directory,
        config,
        task.spec,
        task.presentation,
        provider_of(config.robot),
        plays,
        parent.parentage if parent else None,
        endow,
        demonstrations=demonstrations,
        logs=logs,
        teacher=teacher,
    )


def resumable_session(directory: Path) -> Session:
    """The session in `directory`, once it is certain that it can go on here.

    Raises:
      UserError: it cannot, see `Session.open` and `Session.require_resumable`, its robot is not installed, or the
        classifier that pays in it is gone or another one.
    """
    session = Session.open(directory)
    session.require_resumable()
    if session.teacher is not None:
        raise UserError(
            f"In {directory} {session.teacher} has shown a task; nobody learns. Learn from it with --demonstrations, "
            "or have more shown in another directory with 'daydreamer demonstrate'."
        )
    if session.is_offline:
        raise UserError(
            f"{directory} learned from what other sessions have recorded, and has no robot to go on with. Begin a "
            f"session with what it has learned: '{session.resume_command()}'; or learn from the logs again, into "
            "another directory."
        )
    entry_of(session)
    success = session.config.success
    if success.classifier:
        read_classifier_file(Path(success.classifier), success.sha256)
    return session


def entry_of(session: Session) -> TaskEntry:
    """What a session's robot does, as it is installed.

    Raises:
      UserError: it is not; says what to install.
    """
    return find_robot(session.config.robot, session.record.robot_package).task(session.config.task)
