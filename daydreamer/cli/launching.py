"""What an operator may say to `ros2 launch`, and what it comes to; the launch files are thin around it.

No ROS here, so that it can be tried without.
"""

from __future__ import annotations

import dataclasses
import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from daydreamer.cli.supervise import check_installation
from daydreamer.errors import UserError
from daydreamer.robots import find_robot
from daydreamer.session.atomic import write_atomically
from daydreamer.session.directory import Session
from daydreamer.session.new import configure, new_session
from daydreamer.session.progress import minutes_to_go


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What `robot:=` means.

    Attributes:
      robot: of `daydreamer walk --robot`.
      driver: executable of the driver node that is started too.
      parameters: file for actor and driver, in share/daydreamer/config.
      remappings: of the actor.
    """

    robot: str
    driver: str | None = None
    parameters: str | None = None
    remappings: tuple[tuple[str, str], ...] = ()


HARDWARE = {
    "twin": Hardware("twin"),
    "a1": Hardware("a1", driver="unitree_a1_node", parameters="a1.yaml"),
    "go2": Hardware("go2", driver="unitree_go2_node", parameters="go2.yaml"),
    "ros2_control": Hardware(
        "a1", parameters="ros2_control.yaml", remappings=(("joint_command", "forward_position_controller/commands"),)
    ),
}

WALK_ARGUMENTS = {
    "robot": f"{', '.join(HARDWARE)} (default: twin); docs/robots.md says what each needs",
    "minutes": "robot time, as minutes:=20 (default: 60; with resume:= further time, by default what is left)",
    "session": "new directory for everything, as session:=~/monday (default: sessions/<time>)",
    "resume": "directory of a session to go on with, over the same robot and interface, as resume:=~/monday",
    "seed": "of exploration, networks, batches and twin (default: 0)",
    "preset": "named settings of the robot: default, image, tiny",
    "set": "settings in session.yaml, as set:=\"learner.train_ratio=100 actor.rhythm_hz='[1.4, 2.5]'\"",
    "namespace": "of all topics, services and nodes, as namespace:=robot_1 (default: none)",
    "parameters": "YAML file for actor and driver, as parameters:=~/my_a1.yaml (default: that of the robot)",
    "dashboard": "true shows the session in a browser, at the address that is printed; false is for no screen",
}
"""Arguments of walk.launch.py with what `ros2 launch -s` says of them. All are texts; empty is the default."""

TWIN_ARGUMENTS = {
    "session": WALK_ARGUMENTS["session"],
    "seed": "of the initial state, noise and incidents (default: 0)",
    "set": 'settings in session.yaml, as set:="twin.random_incidents_per_minute=6"',
    "namespace": WALK_ARGUMENTS["namespace"],
    "command_interface": "what it obeys: joint_state, or forward_position as for robot:=ros2_control "
    "(default: joint_state)",
}

FIXED_AT_THE_START = ("session", "seed", "preset", "set")
"""A session that is resumed keeps these; so it would be an error to expect otherwise."""


class LaunchRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a session was launched, for its resumption: `launch.json` in its directory.

    Attributes:
      robot: of HARDWARE; over which interface the robot was driven.
      parameters: the file that was named; empty for the robot's own.
      namespace: of topics, services and nodes.
    """

    robot: str
    parameters: str = ""
    namespace: str = ""


@dataclasses.dataclass(frozen=True)
class Launch:
    """What is to be started.

    Attributes:
      session: new, or the one to go on with.
      hardware: and how it is driven.
      minutes: robot time that the session is to have in all.
      parameters: absolute path of the file for actor and driver; None for the robot's own.
      namespace: of topics, services and nodes.
      dashboard: whether to show it.
    """

    session: Session
    hardware: Hardware
    minutes: float
    parameters: Path | None
    namespace: str
    dashboard: bool


def prepare_walk(arguments: Mapping[str, str]) -> Launch:
    """A new session, or the one to go on with; `arguments` are those of WALK_ARGUMENTS, empty where not given.

    Raises:
      UserError: an argument that cannot be used or contradicts another one. Nothing has been made then.
    """
    dashboard = _yes_or_no("dashboard", arguments["dashboard"] or "true")
    parameters = _file(arguments["parameters"])
    if arguments["resume"]:
        return _resume(arguments, parameters, dashboard)
    name = arguments["robot"] or "twin"
    hardware = _hardware(name)
    config = configure(
        robot=hardware.robot,
        minutes=_number("minutes", arguments["minutes"] or "60"),
        seed=_whole_number("seed", arguments["seed"] or "0"),
        preset=arguments["preset"] or "default",
        overrides=split_settings(arguments["set"]),
    )
    check_installation(config)
    session = new_session(_path(arguments["session"]), config)
    record = LaunchRecord(robot=name, parameters=str(parameters or ""), namespace=arguments["namespace"])
    write_atomically(_record_path(session), msgspec.json.encode(record))
    return Launch(session, hardware, config.minutes, parameters, record.namespace, dashboard)


def prepare_twin(arguments: Mapping[str, str]) -> Session:
    """A new session for the twin alone; `arguments` are those of TWIN_ARGUMENTS, empty where not given.

    Raises:
      UserError: an argument that cannot be used.
    """
    config = configure(
        robot="twin",
        minutes=60.0,
        seed=_whole_number("seed", arguments["seed"] or "0"),
        overrides=split_settings(arguments["set"]),
    )
    check_installation(config)
    return new_session(_path(arguments["session"]), config)


def _resume(arguments: Mapping[str, str], parameters: Path | None, dashboard: bool) -> Launch:
    given = [name for name in FIXED_AT_THE_START if arguments[name]]
    if given:
        raise UserError(f"A session that is resumed keeps its own settings; leave out {', '.join(given)}.")
    session = Session.open(_path(arguments["resume"]))
    record = launch_record(session)
    robot = _robot_of(session, record, arguments["robot"])
    if record is not None and record.parameters and parameters is None:
        raise UserError(
            f"{session.path} was launched with parameters:={record.parameters}; say again which file is to be used."
        )
    further = arguments["minutes"] and _number("minutes", arguments["minutes"])
    minutes = minutes_to_go(session, further or None, f"resume:={session.path} minutes:=10")
    namespace = arguments["namespace"] or (record.namespace if record else "")
    check_installation(session.config)
    return Launch(session, _hardware(robot), minutes, parameters, namespace, dashboard)


def _robot_of(session: Session, record: LaunchRecord | None, asked: str) -> str:
    """Over which interface to go on: the same as before, and never one that was not asked for on hardware."""
    if record is not None:
        if asked and asked != record.robot:
            raise UserError(f"{session.path} was launched with robot:={record.robot}; it cannot go on with {asked}.")
        return record.robot
    configured = session.config.robot
    if find_robot(configured).starts_twin and not asked:
        return configured
    choices = [name for name, hardware in HARDWARE.items() if hardware.robot == configured]
    if asked not in choices:
        raise UserError(
            f"{session.path} was not started by ros2 launch; say over which interface '{configured}' is driven: "
            f"robot:={' or robot:='.join(choices)}."
        )
    return asked


def launch_record(session: Session) -> LaunchRecord | None:
    """How the session was launched; None if it was not, but started by `daydreamer walk`.

    Raises:
      UserError: the record is damaged.
    """
    path = _record_path(session)
    try:
        return msgspec.json.decode(path.read_bytes(), type=LaunchRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
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


def _hardware(name: str) -> Hardware:
    if name not in HARDWARE:
        raise UserError(f"There is no robot:={name}; choose one of {', '.join(HARDWARE)}.")
    return HARDWARE[name]


def _path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def _file(text: str) -> Path | None:
    path = _path(text)
    if path is not None and not path.is_file():
        raise UserError(f"There is no file {path}, which parameters:= names.")
    return path


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"{name}:={text} is not a number.") from error


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UserError(f"{name}:={text} is not a whole number.") from error


def _yes_or_no(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UserError(f"{name}:={text} is neither true nor false.")
    return text.lower() == "true"


def _record_path(session: Session) -> Path:
    return session.path / "launch.json"
