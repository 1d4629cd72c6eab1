"""How a robot was driven in a session, so that it goes on the same way: `wiring.json` in the session's directory."""

from __future__ import annotations

import re

import msgspec

from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import read_file
from daydreamer.texts import decode_json

LARGEST_BYTES = 64 << 10
INTERFACES = ("joint_state", "forward_position", "auto", "twist_stamped", "twist")
USUAL_INTERFACES = ("joint_state", "auto")
"""Those of a node that is told nothing else, by what its robot is told."""
_NAME = re.compile(r"(/[A-Za-z0-9_]{1,64}){1,16}")


class Wiring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Over which interface, and where everything that the actor hears and says goes.

    Attributes:
      command_interface: see `ros_nodes.topics.actor_interfaces`.
      namespace: of the node, beginning with a slash.
      topics: resolved names by our own, as 'joint_command'.
    """

    command_interface: str
    namespace: str
    topics: dict[str, str]

    def ros_arguments(self) -> tuple[str, ...]:
        """What brings a node that was started without arguments of ROS to the same; nothing where that does."""
        prefix = self.namespace.rstrip("/")
        moved = {name: there for name, there in self.topics.items() if there != f"{prefix}/{name}"}
        arguments = [f"{name}:={there}" for name, there in moved.items()]
        if prefix:
            arguments.insert(0, f"__ns:={prefix}")
        remaps = [word for each in arguments for word in ("-r", each)]
        if self.command_interface not in USUAL_INTERFACES:
            remaps += ["-p", f"command_interface:={self.command_interface}"]
        return tuple(remaps)

    def differences(self, other: Wiring) -> list[str]:
        """What is otherwise in `other`, in words."""
        found = []
        if self.command_interface != other.command_interface:
            found.append(f"command_interface {other.command_interface} instead of {self.command_interface}")
        for name, there in self.topics.items():
            if name in other.topics and other.topics[name] != there:
                found.append(f"{name} at {other.topics[name]} instead of {there}")
        return found


def read_wiring(session: Session) -> Wiring | None:
    """How the session was driven; None if it has not been yet, or by a version that did not say.

    Raises:
      UserError: the record is damaged.
    """
    path = session.wiring
    try:
        wiring = decode_json(read_file(path, LARGEST_BYTES), Wiring)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {_CURE}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); {_CURE}") from error
    names = [*wiring.topics.values(), *(f"/{name}" for name in wiring.topics)]
    if wiring.namespace != "/":
        names.append(wiring.namespace)
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong or wiring.command_interface not in INTERFACES:
        raise UserError(f"{path} is damaged; {_CURE}")
    return wiring


_CURE = "remove it to say anew, with what the actor is started, how the robot is driven."


def write_wiring(session: Session, wiring: Wiring) -> None:
    """Raises UserError if it cannot be written."""
    with writing("How the robot is driven", session.wiring):
        write_atomically(session.wiring, msgspec.json.encode(wiring))


def keep_wiring(session: Session, wiring: Wiring) -> None:
    """Makes sure that the robot is driven as it was when the session began; the first time, says how.

    Raises:
      UserError: it would be driven otherwise.
    """
    before = read_wiring(session)
    if before is None:
        write_wiring(session, wiring)
    elif differences := before.differences(wiring):
        raise UserError(
            f"{session.path} was driven otherwise: now {', '.join(differences)}. Start the actor as before, or, if the "
            f"robot is still the same, remove {session.wiring}."
        )
