"""What an operator may say to `ros2 launch`, and what it comes to; the launch files are thin around it.

No ROS here, so that it can be tried without.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import math
import os
import shlex
import signal
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from daydreamer.cli.begin import Beginning, Chosen, FromOthers
from daydreamer.cli.drives import WALKERS, Drive, body_of, drives_of, find_drive, find_walker, words_for
from daydreamer.cli.play import make_played_session
from daydreamer.cli.supervise import check_installation, require_live
from daydreamer.config import Body, load_yaml
from daydreamer.errors import UserError
from daydreamer.processes import ProcessDescription, driver_process, session_processes
from daydreamer.robots.registry import robots
from daydreamer.session.directory import Session
from daydreamer.session.new import configure, new_session, resumable_session
from daydreamer.session.progress import minutes_to_go
from daydreamer.session.wiring import read_wiring
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import read_file
from daydreamer.texts import decode_json

WALK_ARGUMENTS = {
    "robot": f"{', '.join(WALKERS)} (default: twin); docs/robots.md says what each needs",
    "minutes": "robot time, as minutes:=20 (default: 60; with resume:= further time, by default what is left)",
    "session": "new directory for everything, as session:=~/monday (default: sessions/<time>)",
    "resume": "directory of a session to go on with, over the same robot and interface, as resume:=~/monday",
    "seed": "of exploration, networks, batches and twin (default: 0)",
    "preset": "named settings, as the robot's folder has them: default, tiny ...",
    "twin": "file that 'daydreamer fit' wrote, whose twin takes the place of the published one",
    "set": 'settings in session.yaml, as set:="learner.train_ratio=100 actor.rhythm_hz=[1.4, 2.5]"',
    "from": "directory of a session to begin with: its world model and policy, as from:=~/rehearsed",
    "from_experience": "share of what is replayed, 0 to 0.75, that is of its experience at first (default: 0.75)",
    "demonstrations": "directories of sessions in which somebody has shown the task, as demonstrations:=~/shown; "
    "half of each batch is of them (learner.demonstration_share)",
    "namespace": "of all topics, services and nodes, as namespace:=robot_1 (default: none)",
    "parameters": "YAML file for actor and driver, as parameters:=~/my_a1.yaml (default: that of the robot)",
    "dashboard": "true shows the session in a browser, at the address that is printed; false is for no screen",
}
"""Arguments of walk.launch.py with what `ros2 launch -s` says of them. All are texts; empty is the default."""

LEARN_ARGUMENTS = {
    "robot": "who learns: 'daydreamer robots' lists them",
    "task": "what it learns (default: the robot's usual task)",
    "body": "twin, or hardware, which waits for you (default: twin)",
    "interface": "how the real robot is reached, if there are several ways (default: the usual one)",
} | {name: text for name, text in WALK_ARGUMENTS.items() if name != "robot"}
"""Arguments of learn.launch.py, likewise."""

REACH = {"robot": "burger", "task": "reach"}
PICK = {"robot": "so101", "task": "pick_place"}
"""Defaults of reach.launch.py and pick.launch.py, which are learn.launch.py with these."""


def arguments_with(defaults: Mapping[str, str]) -> dict[str, str]:
    """Arguments of a launch file that is learn.launch.py with defaults for robot and task."""
    return LEARN_ARGUMENTS | {
        "robot": f"who learns: any that has the task (default: {defaults['robot']})",
        "task": f"what it learns (default: {defaults['task']})",
    }


PLAY_ARGUMENTS = {
    "from": "directory of the session that has learned it, as from:=~/monday; it is only read",
    "version": "which of its policies: best (the newest of those whose reward, over a minute of what they chose "
    "themselves, is within one standard error of the highest), newest, or a number (default: best)",
    "body": LEARN_ARGUMENTS["body"],
    "interface": LEARN_ARGUMENTS["interface"],
    "minutes": "robot time, as minutes:=20 (default: 10)",
    "sample": "true acts with the noise that it learned with (default: false, which acts by the mean)",
    "session": WALK_ARGUMENTS["session"],
    "seed": "of twin and chance (default: that of the session that has learned it)",
    "twin": WALK_ARGUMENTS["twin"],
    "set": 'settings in session.yaml, as set:="twin.random_incidents_per_minute=6"',
    "namespace": WALK_ARGUMENTS["namespace"],
    "parameters": WALK_ARGUMENTS["parameters"],
    "dashboard": WALK_ARGUMENTS["dashboard"],
}
"""Arguments of play.launch.py, likewise."""

TWIN_ARGUMENTS = {
    "session": WALK_ARGUMENTS["session"],
    "seed": "of the initial state, noise and incidents (default: 0)",
    "set": 'settings in session.yaml, as set:="twin.random_incidents_per_minute=6"',
    "namespace": WALK_ARGUMENTS["namespace"],
    "command_interface": "what it obeys: joint_state, or forward_position as for robot:=ros2_control "
    "(default: joint_state)",
}

REPLAY_ARGUMENTS = {
    "session": "directory of the session to play back, as session:=~/monday",
    "speed": "1 is real time, 2 twice as fast (default: 1)",
    "life": "which life of the actor, counted from 1; 0 for all (default: 0)",
}

WALK = "walk"
"""The task of walk.launch.py."""

LARGEST_PARAMETERS = 1 << 20
"""Bytes in a parameter file."""

FIXED_AT_THE_START = ("session", "seed", "preset", "twin", "set", "from", "from_experience", "demonstrations")
"""A session that is resumed keeps these; so it would be an error to expect otherwise."""


class LaunchRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a session was launched, for its resumption: `launch.json` in its directory.

    Attributes:
      robot, body, interface: how it was driven; of a session of earlier versions the robot is a name of `WALKERS`, and
        there is no body.
      parameters: the file that was named; empty for the robot's own.
      parameters_digest: SHA-256 of what was in it.
      namespace: of topics, services and nodes.
    """

    robot: str
    body: Body | None = None
    interface: str = ""
    parameters: str = ""
    parameters_digest: str = ""
    namespace: str = ""

    @property
    def drive(self) -> Drive:
        """Raises UserError where the robot is not there any more."""
        return find_walker(self.robot) if self.body is None else find_drive(self.robot, self.body, self.interface)


@dataclasses.dataclass(frozen=True)
class Launch:
    """What is to be started.

    Attributes:
      session: new, or the one to go on with.
      drive: and how its robot is reached.
      minutes: robot time that the session is to have in all.
      parameters: absolute path of the file for actor and driver; None for the robot's own.
      namespace: of topics, services and nodes.
      dashboard: whether to show it.
      ros_arguments: of actor and twin, as of `session_processes`: how a session was driven that launch did not begin.
    """

    session: Session
    drive: Drive
    minutes: float
    parameters: Path | None
    namespace: str
    dashboard: bool
    ros_arguments: tuple[str, ...] = ()


class SessionFailed(UserError):
    """Raised in an event handler: launch then ends all processes in order, and itself with status 1."""


def prepare_walk(arguments: Mapping[str, str]) -> Launch:
    """A new session, or the one to go on with; `arguments` are those of WALK_ARGUMENTS, empty where not given.

    Raises:
      UserError: an argument that cannot be used or contradicts another one. Nothing has been made then.
    """
    asked = find_walker(arguments["robot"]) if arguments["robot"] else None
    return _prepare(arguments, asked, asked or find_walker("twin"), WALK)


def prepare_learn(arguments: Mapping[str, str]) -> Launch:
    """What `learn.launch.py` starts; `arguments` are those of LEARN_ARGUMENTS.

    Raises:
      UserError: as `prepare_walk`.
    """
    body = _body(arguments)
    if arguments["resume"]:
        if arguments["robot"] or arguments["task"] or body:
            raise UserError("A session that is resumed keeps its robot, task and body; leave them out.")
        return _resume(arguments, None, arguments["interface"])
    if not arguments["robot"]:
        raise UserError(f"Say who is to learn, as robot:=a1; there are {', '.join(robots())}.")
    drive = find_drive(arguments["robot"], body or "twin", arguments["interface"])
    return _prepare(arguments, drive, drive, arguments["task"])


def prepare_learn_with(defaults: Mapping[str, str], arguments: Mapping[str, str]) -> Launch:
    """What such a launch file starts; `arguments` are those of `arguments_with`.

    Raises:
      UserError: as `prepare_walk`.
    """
    if arguments["resume"]:
        return prepare_learn(arguments)
    return prepare_learn({name: value or defaults.get(name, "") for name, value in arguments.items()})


def prepare_play(arguments: Mapping[str, str]) -> Launch:
    """What `play.launch.py` starts; `arguments` are those of PLAY_ARGUMENTS.

    Raises:
      UserError: as `prepare_walk`.
    """
    if not arguments["from"]:
        raise UserError("Say which session has learned what is to be played, as from:=~/monday.")
    learned = _path(arguments["from"])
    robot, body = Session.open(learned).config.robot, _body(arguments) or "twin"

    def make() -> Session:
        return make_played_session(
            learned,
            version=arguments["version"] or "best",
            session_directory=_path(arguments["session"]),
            body=body,
            minutes=_number("minutes", arguments["minutes"] or "10"),
            seed=_whole_number("seed", arguments["seed"]) if arguments["seed"] else None,
            samples=_yes_or_no("sample", arguments["sample"] or "false"),
            twin_file=_path(arguments["twin"]),
            overrides=split_settings(arguments["set"]),
        )

    return _launch(arguments, find_drive(robot, body, arguments["interface"]), make)


def _body(arguments: Mapping[str, str]) -> Body | None:
    body = body_of(arguments["body"]) if arguments["body"] else None
    if arguments["interface"] and body == "twin":
        raise UserError(f"A twin has no interface:={arguments['interface']}; it is for body:=hardware.")
    return body


def _prepare(arguments: Mapping[str, str], asked: Drive | None, drive: Drive, task: str) -> Launch:
    """See `prepare_walk`; `asked` is what the operator has said of it, if anything."""
    if arguments["resume"]:
        return _resume(arguments, asked)

    def make() -> Session:
        share = arguments["from_experience"]
        others = FromOthers(
            _path(arguments["from"]),
            _number("from_experience", share) if share else None,
            _paths("demonstrations", arguments["demonstrations"]),
        )
        beginning = Beginning(others)
        minutes = _number("minutes", arguments["minutes"] or "60")
        chosen = Chosen(
            drive.robot,
            task or None,
            _whole_number("seed", arguments["seed"] or "0"),
            arguments["preset"] or "default",
            _path(arguments["twin"]),
            split_settings(arguments["set"]),
        )
        config = chosen.configure(minutes, drive.body, beginning)
        require_live(config)
        check_installation(config)
        return beginning.make(_path(arguments["session"]), config)

    return _launch(arguments, drive, make)


def _launch(arguments: Mapping[str, str], drive: Drive, make: Callable[[], Session]) -> Launch:
    """What comes of a new session, which `make` makes once all else has been found usable."""
    dashboard = _yes_or_no("dashboard", arguments["dashboard"] or "true")
    parameters = _path(arguments["parameters"])
    _check_parameters(parameters, drive)
    session = make()
    record = LaunchRecord(
        robot=drive.robot,
        body=drive.body,
        interface=drive.interface_name,
        parameters=str(parameters or ""),
        parameters_digest="" if parameters is None else _digest(parameters),
        namespace=arguments["namespace"],
    )
    with writing("How it was launched", session.launch_record):
        write_atomically(session.launch_record, msgspec.json.encode(record))
    return Launch(session, drive, session.config.minutes, parameters, record.namespace, dashboard)


def prepare_twin(arguments: Mapping[str, str]) -> Session:
    """A new session for the twin alone; `arguments` are those of TWIN_ARGUMENTS, empty where not given.

    Raises:
      UserError: an argument that cannot be used.
    """
    config = configure(
        robot="a1",
        minutes=60.0,
        seed=_whole_number("seed", arguments["seed"] or "0"),
        overrides=split_settings(arguments["set"]),
    )
    check_installation(config)
    return new_session(_path(arguments["session"]), config)


def prepare_replay(arguments: Mapping[str, str]) -> tuple[Session, float, int]:
    """The session to play back, how fast, and which life; `arguments` are those of REPLAY_ARGUMENTS.

    Raises:
      UserError: an argument that cannot be used.
    """
    if not arguments["session"]:
        raise UserError("Say which session to play back, as session:=~/monday.")
    session = Session.open(_path(arguments["session"]))
    speed = _number("speed", arguments["speed"] or "1")
    if not speed > 0:
        raise UserError(f"speed:={speed:g} would never end; choose a number above 0.")
    return session, speed, _whole_number("life", arguments["life"] or "0")


def _resume(arguments: Mapping[str, str], asked: Drive | None, interface: str = "") -> Launch:
    """See `prepare_walk`; `asked` is how the operator wants to go on, or `interface` over which, if that was said."""
    dashboard = _yes_or_no("dashboard", arguments["dashboard"] or "true")
    parameters = _path(arguments["parameters"])
    given = [name for name in FIXED_AT_THE_START if arguments[name]]
    if given:
        raise UserError(f"A session that is resumed keeps its own settings; leave out {', '.join(given)}.")
    session = resumable_session(_path(arguments["resume"]))  # before ROS writes its logs there
    if interface:
        asked = find_drive(session.config.robot, session.config.body, interface)
    record = launch_record(session)
    drive = _drive_of(session, record, asked)
    if record is not None and record.parameters and parameters is None:
        parameters = _same_parameters(session, record)
    _check_parameters(parameters, drive)
    further = _number("minutes", arguments["minutes"]) if arguments["minutes"] else None
    minutes = minutes_to_go(session, further)
    check_installation(session.config)
    namespace = _namespace_of(session, record, arguments)
    wiring = read_wiring(session) if record is None else None
    driven = () if wiring is None else wiring.ros_arguments()
    return Launch(session, drive, minutes, parameters, namespace, dashboard, driven)


def resumed_processes(session: Session, minutes: float) -> list[ProcessDescription]:
    """The processes with which `daydreamer resume` goes on: over the same interface, under the same names as before.

    With the robot's driver, if ros2 launch has started one. Order and `minutes` as of `session_processes`.

    Raises:
      UserError: it is not certain how the robot was driven.
    """
    record = launch_record(session)
    if record is None:
        wiring = read_wiring(session)
        return session_processes(session, minutes, () if wiring is None else wiring.ros_arguments())
    drive = _drive_of(session, record, None)
    path = _same_parameters(session, record) if record.parameters else _own_parameters(drive)
    namespace = f"/{record.namespace.strip('/')}"
    common = [*(["-r", f"__ns:={namespace}"] if record.namespace else []), *(["--params-file", str(path)] * bool(path))]
    processes = session_processes(session, minutes, (*common, *drive.ros_arguments))
    if drive.interface is not None and drive.interface.driver is not None:
        processes.insert(1, driver_process(drive.interface, tuple(common)))
    return processes


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _same_parameters(session: Session, record: LaunchRecord) -> Path:
    """The file of before, if there is the same in it; otherwise an operator has to say which is meant."""
    path = Path(record.parameters)
    if not path.is_file() or path.stat().st_size > LARGEST_PARAMETERS or _digest(path) != record.parameters_digest:
        raise UserError(
            f"{session.path} was launched with parameters:={path}, which is not there or has changed since; say again "
            f"which file is to be used: '{session.resume_command()} parameters:=FILE'."
        )
    return path


def _own_parameters(drive: Drive) -> Path | None:
    """The file that comes with the robot: installed, or beside the sources."""
    if drive.parameters is None:
        return None
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sysconfig.get_path("data")]
    places = [Path(prefix) / "share" / drive.package / "config" for prefix in prefixes]
    for place in (*places, Path(__file__).parents[2] / "config"):
        if (place / drive.parameters).is_file():
            return place / drive.parameters
    raise UserError(
        f"The robot's own {drive.parameters} is not installed; install {drive.package} again, with pip or colcon."
    )


def _namespace_of(session: Session, record: LaunchRecord | None, arguments: Mapping[str, str]) -> str:
    """The namespace stays what it was: in another one is another robot."""
    asked = arguments["namespace"]
    if record is None:
        return asked
    if asked and asked.strip("/") != record.namespace.strip("/"):
        before = f"namespace:={record.namespace}" if record.namespace else "no namespace"
        raise UserError(f"{session.path} was launched with {before}; it cannot go on with {asked}.")
    return record.namespace


def _drive_of(session: Session, record: LaunchRecord | None, asked: Drive | None) -> Drive:
    """How to go on: as before, and on hardware never in a way that was not asked for."""
    config = session.config
    if record is not None:
        before = record.drive
        if (before.robot, before.body) != (config.robot, config.body):
            raise UserError(f"{session.launch_record} is of another robot than the session; remove it.")
        if asked is not None and asked != before:
            raise UserError(
                f"{session.path} was launched with {words_for(before)}; it cannot go on with {words_for(asked)}."
            )
        return before
    if config.body == "twin" and asked is None:
        return find_drive(config.robot, config.body)
    choices = drives_of(config.robot) if config.body == "hardware" else [find_drive(config.robot, config.body)]
    if asked is None and not choices[0].interface_name:
        return choices[0]
    if asked not in choices:
        interfaces = " or ".join(f"interface:={choice.interface_name}" for choice in choices)
        raise UserError(
            f"{session.path} was not started by ros2 launch; say over which interface '{config.robot}' is driven: "
            f"{' or '.join(map(words_for, choices))}, or for learn.launch.py {interfaces}."
        )
    return asked


def launch_record(session: Session) -> LaunchRecord | None:
    """How the session was launched; None if it was not, but started by `daydreamer walk`.

    Raises:
      UserError: the record is damaged.
    """
    path = session.launch_record
    try:
        return decode_json(read_file(path, 1 << 16), LaunchRecord)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); restore it, or remove it and say robot:= again.") from error


def refuse_unknown(command_line: Sequence[str], file_name: str, known: Iterable[str]) -> None:
    """ros2 launch passes over arguments that nobody declared, as minuts:=8; here they are an error.

    Args:
      command_line: of ros2 launch. Only one that names our file: what includes it may have arguments of its own.

    Raises:
      UserError: names the argument, and what may have been meant.
    """
    if not any(Path(word).name == file_name for word in command_line):
        return
    known = list(known)
    for word in command_line:
        name, separator, _ = word.partition(":=")
        # Those two are of ros2 launch itself.
        if separator and name not in (*known, "launch-prefix", "launch-prefix-filter"):
            meant = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {meant[0]}:=?" if meant else f"there are {', '.join(known)}."
            raise UserError(f"{file_name} has no argument '{name}'; {hint}")


def split_settings(text: str) -> list[str]:
    """'a.b=1 c.d="[1, 2]"' as a list of assignments; separated by blanks, or by semicolons.

    Raises:
      UserError: a quotation mark without its partner.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace += ";"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise UserError(f"set:={text} cannot be read ({error}); write set:=\"a.b=1 c.d='[1, 2]'\".") from error
    return _join_brackets(words)


def _join_brackets(words: Sequence[str]) -> list[str]:
    """Lists are kept whole without quotes, too: 'a.b=[1,' and '2]' belong together."""
    joined: list[str] = []
    depth = 0
    for word in words:
        if depth > 0:
            joined[-1] += f" {word}"
        else:
            joined.append(word)
        depth += sum(word.count(bracket) for bracket in "[{") - sum(word.count(bracket) for bracket in "]}")
    return joined


def _path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def _paths(name: str, text: str) -> list[Path]:
    """Several, separated by blanks; one with a blank in it is quoted."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(f"{name}:={text} cannot be read ({error}); write {name}:=\"~/one '~/the other'\".") from error
    return [Path(word).expanduser().absolute() for word in words]


def _check_parameters(path: Path | None, drive: Drive) -> None:
    """Finds out what ROS passes over: a file that is not there, or names none of our nodes.

    Keys that a node does not have are refused by the node.
    """
    if path is None:
        return
    if not path.is_file():
        raise UserError(f"There is no file {path}, which parameters:= names.")
    found = set(_parameter_nodes(load_yaml(path)))
    known = drive.node_names
    # Others may have their parameters in the same file; one that is called almost as ours is a slip.
    slips = {name: meant[0] for name in found - {*known} if (meant := difflib.get_close_matches(name, known, 1, 0.8))}
    for name, meant in slips.items():
        raise UserError(f"{path} has parameters for a node '{name}'; did you mean {meant}?")
    if not found & {*known, "*", "**"}:
        there_are = f"only for {', '.join(sorted(found))}" if found else "for none at all"
        raise UserError(f"{path} has no parameters for {' or '.join(known)}, {there_are}; write them below /**/actor.")


def _parameter_nodes(content: Any) -> Iterable[str]:
    """Last names of the nodes of a parameter file: namespaces may be nested, or part of the name."""
    for name, below in content.items() if isinstance(content, Mapping) else ():
        if isinstance(below, Mapping) and "ros__parameters" in below:
            yield str(name).rpartition("/")[2]
        yield from _parameter_nodes(below)


def refuse_bad_end(name: str, status: int, shutting_down: bool, completes: bool = False) -> None:
    """Makes the end of a process that nothing can replace the end of the launch.

    Args:
      status: it ended with; negative for a signal.
      shutting_down: everything is being ended.
      completes: it ends by itself, with status 0, when its work is done.

    Raises:
      SessionFailed: it was not asked to end, or did not manage to.
    """
    if shutting_down:
        # Until it has its handlers, an interrupt ends it at once.
        if status not in (0, -signal.SIGINT, -signal.SIGTERM):
            raise SessionFailed(f"the {name} ended with status {status} when it was to stop")
    elif not (completes and status == 0):
        raise SessionFailed(f"the {name} ended by itself, with status {status}")


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{name}:={text} is not a number.")
    return number


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UserError(f"{name}:={text} is not a whole number.") from error


def _yes_or_no(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UserError(f"{name}:={text} is neither true nor false.")
    return text.lower() == "true"
