"""What protects the motors of an SO-101, and how soon, where they would burn out.

    PYTHONPATH=. python benchmarks/motor_protection.py [--repeats 5] [--only WORDS] [--json FILE]

Four cases: the gripper closes on a rigid bar for a minute, a joint is blocked, a motor is hot, the bus is lost. Each is
played in two places. In the twin, in simulated time: a hardware session's control loop with its safety supervisor, told
by a script where its joints are to be; what becomes of the bus is that no state comes, no command arrives, and the
motors hold on. On the stand-in, in real time: the real driver as a process, with servos that are played on a
pseudo-terminal, and somebody who commands it as an actor without any checks would: as long as states come, and after a
second without them no more before an operator says so.

Prints a Markdown table, and figures as JSON. Shares are of the stall torque; temperatures are by the twin's model of a
motor that gets warm, which is a guess.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.robots.registry import find_robot
from daydreamer.robots.so101 import feetech
from daydreamer.robots.so101.constants import (
    CLOSED_RAD,
    COUNT_RAD,
    GRIPPER,
    JOINTS,
    READY_RAD,
    REST_RAD,
    STALL_TORQUE_N_M,
)
from daydreamer.robots.so101.pick_place import PickPlace
from daydreamer.session.new import configure

sys.path.append(str(Path(__file__).parents[1] / "tests" / "robots"))

BAR_RAD = 0.3
"""Where a bar stops the jaw that moves: jaws that are 3.5 cm apart."""
AWAY_RAD = (0.25, -0.25, -0.25, 0.25, 0.25)
"""From where it is blocked, of each joint: where it is told to be."""
HOT_C, COOL_C = 66.0, 45.0
EASED = 0.35
"""Share of the stall torque below which a servo is spared: it can give a third for ever."""
AFTERWARDS_S = 30.0
ENDS_S = 5.0


@dataclasses.dataclass(frozen=True)
class Case:
    """What happens, and for how long before it is over."""

    name: str
    lasts_s: float


BAR, BLOCKED, HOT, BUS = CASES = (
    Case("the gripper closes on a rigid bar", 60.0),
    Case("a joint is blocked", 30.0),
    Case("a motor is hot", 20.0),
    Case("the bus is lost", 20.0),
)


def motor_of(case: Case, repeat: int) -> int:
    """Whose motor it is: another one each time, where that means something."""
    return GRIPPER if case is BAR else repeat % 5


@dataclasses.dataclass
class Sample:
    """How the arm is at a moment of a trial.

    Attributes:
      time_s: since it began.
      share: `[6]` of its stall torque that each motor gives.
      has_torque: whether the motors follow anything.
      temperature_c, position_rad: `[6]`.
    """

    time_s: float
    share: np.ndarray
    has_torque: bool
    temperature_c: np.ndarray
    position_rad: np.ndarray


@dataclasses.dataclass
class Trial:
    """What happened, on a clock that begins with the case.

    Attributes:
      samples: in order.
      said: (time, who, what) of whatever has reacted, in order.
      goes_on_s: until the arm did again as it was told, since the case was over, or since an operator had said so; None
        if it never did.
      by_itself: whether nobody had to say so.
    """

    case: Case
    motor: int
    samples: list[Sample] = dataclasses.field(default_factory=list)
    said: list[tuple[float, str, str]] = dataclasses.field(default_factory=list)
    goes_on_s: float | None = None
    by_itself: bool = False

    def figures(self) -> dict[str, Any]:
        """Times in s."""
        motor, lasts_s = self.motor, self.case.lasts_s
        during = [each for each in self.samples if 0.0 <= each.time_s <= lasts_s]
        after = [each for each in self.samples if each.time_s > lasts_s]
        said = [(time_s, f"{who}: {what}") for time_s, who, what in self.said if time_s >= 0.0]
        pressed = [each.time_s for each in during if abs(each.share[motor]) > EASED]
        if self.case is BAR and pressed and pressed[-1] < lasts_s - 1.0:
            said.append((pressed[-1], "driver: eases it"))
        off = next((each for each in self.samples if each.time_s > 0.0 and not each.has_torque), None)
        return {
            "motor": JOINTS[motor],
            "reacts": said[0][1] if said else "nothing",
            "reaction_s": said[0][0] if said else None,
            "most_share": max(float(np.abs(each.share).max()) for each in during),
            "above_rated_s": math.fsum(
                later.time_s - each.time_s
                for each, later in zip(during, during[1:], strict=False)
                if np.abs(each.share).max() > EASED
            ),
            "share_at_end": statistics.mean(
                float(abs(each.share[motor])) for each in during if each.time_s > lasts_s - ENDS_S
            ),
            "hottest_c": max(float(each.temperature_c.max()) for each in during),
            "without_torque_s": None if off is None else off.time_s,
            "falls_rad": None if off is None else float(np.abs(off.position_rad - REST_RAD)[:GRIPPER].max()),
            "fastest_afterwards_rad_s": _fastest(after),
            "goes_on_s": self.goes_on_s,
            "by_itself": self.by_itself,
        }


def _fastest(samples: Sequence[Sample]) -> float:
    """The greatest speed of any joint, rad/s, over a tenth of a second."""
    fastest = 0.0
    for begin, first in enumerate(samples):
        later = next((each for each in samples[begin + 1 :] if each.time_s >= first.time_s + 0.1), None)
        if later is not None:
            moved_rad = np.abs(later.position_rad - first.position_rad)[:GRIPPER].max()
            fastest = max(fastest, float(moved_rad) / (later.time_s - first.time_s))
    return fastest


# In the twin.


class _Told(PickPlace):
    """An arm that is told by a script where to be, in an episode that does not end.

    Attributes:
      wanted_rad: `[6]`.
    """

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.spec = msgspec.structs.replace(self.spec, episode_steps=1_000_000)
        self.wanted_rad = READY_RAD.copy()

    def setpoint(self, action: np.ndarray, measurement: Any, sent: np.ndarray) -> np.ndarray:
        """Whatever was chosen."""
        return self.wanted_rad

    def restart(self, measurement: Any, elapsed_s: float) -> np.ndarray | None:
        """At once."""
        return None


class _NoLog:
    def append(self, step: object) -> None:
        """It is nothing to learn from."""


class _InTwin:
    """A twin under the control loop of a session on hardware, in simulated time."""

    def __init__(self, case: Case, repeat: int) -> None:
        config = configure(robot="so101", task="pick_place", body="hardware", minutes=1.0, seed=repeat)
        self.trial = Trial(case, motor_of(case, repeat))
        self._twin = find_robot("so101").make_twin(config.twin, repeat)
        self._task = _Told()
        self._begin_s, self._linked, self._last = math.inf, True, self._twin.measure()
        self._forced_c: float | None = None
        self._loop = ControlLoop(
            self._task,
            msgspec.structs.replace(config.actor, random_s=1e6),
            _NoLog(),
            actor_life=1,
            seed=repeat,
            safety=msgspec.structs.replace(config.safety, learner_silent_s=1e4),
            clock=lambda: self._twin.time_s,
            on_event=self._on_event,
        )
        self._loop.supervisor.activate("benchmark")

    def play(self, random: np.random.Generator) -> Trial:
        case, twin = self.trial.case, self._twin
        while self._loop.supervisor.state != "running":
            self._run(0.05)
        self._run(1.0 + random.uniform(0.0, 0.5))
        self._begin_s = twin.time_s
        over = self._begin(case)
        self._run(case.lasts_s)
        over()
        self._goes_on()
        twin.close()
        return self.trial

    def _begin(self, case: Case) -> Callable[[], None]:
        """What ends it again."""
        motor, wanted_rad = self.trial.motor, self._task.wanted_rad
        range_rad = self._twin.model.jnt_range[self._twin.model.joint(JOINTS[motor]).id]
        before_rad = range_rad.copy()
        if case is BAR:
            range_rad[0] = BAR_RAD
            wanted_rad[GRIPPER] = CLOSED_RAD
        elif case is BLOCKED:
            at_rad = self._twin.data.qpos[self._twin.position_at][motor]
            range_rad[:] = at_rad - 0.001, at_rad + 0.001
            wanted_rad[motor] += AWAY_RAD[motor]
        elif case is HOT:
            self._forced_c = HOT_C
        else:
            self._linked = False
            self._twin.driver.targets.never_times_out = True

        def over() -> None:
            range_rad[:] = before_rad
            wanted_rad[:] = READY_RAD
            self._forced_c = None if self._forced_c is None else COOL_C
            self._twin.driver.targets.never_times_out, self._linked = False, True

        return over

    def _goes_on(self) -> None:
        """Waits for it by itself; then an operator resumes."""
        for by_itself in (True, False):
            if not by_itself:
                self._loop.supervisor.resume(self._twin.time_s, "operator")
            since_s = self._twin.time_s
            until_s = since_s + AFTERWARDS_S
            while self._twin.time_s < until_s:
                self._run(0.05)
                far_rad = np.abs(self.trial.samples[-1].position_rad - READY_RAD)[:GRIPPER].max()
                if self._loop.supervisor.state == "running" and far_rad < 0.1:
                    self.trial.goes_on_s, self.trial.by_itself = self._twin.time_s - since_s, by_itself
                    self._run(1.0)
                    return

    def _run(self, seconds: float) -> None:
        twin = self._twin
        for _ in range(max(1, round(seconds / self._loop.tick_period_s))):
            if self._forced_c is not None:
                twin._warm_c[self.trial.motor] = self._forced_c
            if self._linked:
                self._last = twin.measure()
            command = self._loop.step(self._last, twin.time_s)
            if command is not None and self._linked:
                twin.command(None if command.relaxes else command.setpoint)
            twin.advance(self._loop.tick_period_s)
            torque_n_m = twin.data.actuator_force.copy()
            at_rad, time_s = twin.data.qpos[twin.position_at].copy(), twin.time_s - self._begin_s
            share, warm_c = torque_n_m / STALL_TORQUE_N_M, twin._warm_c.copy()
            self.trial.samples.append(Sample(time_s, share, bool(torque_n_m.any()), warm_c, at_rad))

    def _on_event(self, kind: str, **fields: Any) -> None:
        if kind == "watchdog" and fields["action"] != "warn":
            name, action = str(fields["name"]), {"damp": "lies down", "hold": "holds"}[fields["action"]]
            what = f"{name.replace('_', ' ')}, {action}"
            who = "supervisor"
            if name == "implausible":
                who, what = "check", f"{fields['subject']}, {action}".replace(JOINTS[self.trial.motor], "it")
            self.trial.said.append((self._twin.time_s - self._begin_s, who, what))


# On the stand-in.


class _OnStandIn:
    """The driver as a process, servos that are played, and somebody who commands."""

    def __init__(self, case: Case, repeat: int, directory: Path, domain: int) -> None:
        import rclpy
        from feetech_stand_in import FeetechStandIn
        from rclpy.executors import SingleThreadedExecutor

        from ros_nodes import topics

        self._topics = topics
        self.trial = Trial(case, motor_of(case, repeat))
        self._arm = FeetechStandIn(seed=repeat)
        self._wanted_rad = READY_RAD.copy()
        self._relaxes = self._latched = False
        self._heard_s = self._sampled_s = -math.inf
        self._begin_s = math.inf
        self._log = directory / "driver.log"
        self._read = 0
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("commander", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._commands = self._node.create_publisher(topics.JointState, topics.JOINT_COMMAND, topics.RELIABLE)
        self._node.create_subscription(topics.JointState, topics.JOINT_STATES, self._hear, 10)
        self._node.create_timer(0.05, self._command)
        command = [sys.executable, "-m", "daydreamer.robots.so101.driver_node", "--ros-args", "-p"]
        self._driver = subprocess.Popen(
            [*command, f"port:={self._arm.port}", "-p", "answer_timeout_s:=0.15"],
            env=os.environ | {"ROS_DOMAIN_ID": str(domain), "DAYDREAMER_DISCOVERY_S": "0.3"},
            stdout=self._log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def play(self, random: np.random.Generator) -> Trial:
        case = self.trial.case
        if not self._until(self._obeys, 60.0):
            raise SystemExit(f"The arm did not begin: {self._log.read_text(errors='replace')}")
        self._spin(1.0 + random.uniform(0.0, 0.5))
        self._look()
        self._begin_s = time.monotonic()
        over = self._begin(case)
        self._spin(case.lasts_s)
        over()
        since_s = time.monotonic()
        self._until(lambda: not self._obeys(), 2.0)  # before anything can have come of it
        for by_itself in (True, False):
            if not by_itself:  # as the actor does before an operator resumes: it tells the arm to let go
                self._relaxes = True
                self._spin(0.5)
                self._relaxes = self._latched = False
                since_s = time.monotonic()
            if self._until(self._obeys, AFTERWARDS_S):
                self.trial.goes_on_s, self.trial.by_itself = time.monotonic() - since_s, by_itself
                break
        return self.trial

    def close(self) -> None:
        self._driver.kill()
        self._driver.wait()
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.shutdown()
        self._arm.close()

    def _begin(self, case: Case) -> Callable[[], None]:
        """What ends it again."""
        servo, motor = self._arm.servos[self.trial.motor + 1], self.trial.motor
        if case is BAR:
            servo.stops = (servo.position - (READY_RAD[GRIPPER] - BAR_RAD) / COUNT_RAD, 4095.0)
            self._wanted_rad[GRIPPER] = CLOSED_RAD
        elif case is BLOCKED:
            servo.block()
            self._wanted_rad[motor] += AWAY_RAD[motor]
        elif case is HOT:
            servo.set(feetech.TEMPERATURE, round(HOT_C))
        else:
            self._arm.unplugged = True

        def over() -> None:
            servo.free()
            self._wanted_rad[:] = READY_RAD
            self._arm.unplugged = False
            if case is HOT:
                servo.set(feetech.TEMPERATURE, round(COOL_C))

        return over

    def _obeys(self) -> bool:
        far_rad = np.abs(self._arm.joints_rad() - READY_RAD)[:GRIPPER].max()
        return all(self._arm.torque) and bool(far_rad < 0.12)

    def _command(self) -> None:
        # As the supervisor on hardware: a robot that was silent may have been switched off by somebody.
        begun = self._begin_s < math.inf
        self._latched |= begun and time.monotonic() - self._heard_s > 1.0
        if self._relaxes or self._latched:
            position_rad = np.full(len(JOINTS), np.nan)
        else:
            position_rad = self._wanted_rad
        stamp, interface = self._node.get_clock().now().to_msg(), self._topics.COMMAND_INTERFACES[0]
        message = self._topics.joint_command_message(interface, stamp, JOINTS, position_rad, None, lets_go=True)
        self._commands.publish(message)

    def _hear(self, message: Any) -> None:
        self._heard_s = time.monotonic()

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        end_s = time.monotonic() + seconds
        while not (done := condition()) and time.monotonic() < end_s:
            self._spin(0.05)
        return done

    def _spin(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (now_s := time.monotonic()) < end_s:
            self._executor.spin_once(timeout_sec=min(0.02, end_s - now_s))
            if now_s - self._sampled_s > 0.04:
                self._sampled_s = now_s
                self._look()

    def _look(self) -> None:
        servos, time_s = list(self._arm.servos.values()), time.monotonic() - self._begin_s
        share = np.array([servo.share for servo in servos])
        warm_c = np.array([servo.get(feetech.TEMPERATURE) for servo in servos], np.float64)
        self.trial.samples.append(Sample(time_s, share, any(self._arm.torque), warm_c, self._arm.joints_rad()))
        content = self._log.read_text(errors="replace")
        *lines, _ = content[self._read :].split("\n")
        self._read += sum(len(line) + 1 for line in lines)
        for line in lines:
            # The servos live in this process, which may be busy: a moment's silence is none of the driver's.
            found = re.search(r"\[ERROR\].*?: (.*)", line)
            if self.trial.case is BUS and "do not answer" in line:
                found = re.search(r"(Servos do not answer)", line)
            if found:
                what = re.split("[.:] ", found[1].removeprefix("The arm lies down: "))[0]
                what = re.sub(r"has \d+ °C", "is hot", what).replace(JOINTS[self.trial.motor], "it")
                self.trial.said.append((time_s, "driver", what))


def summarise(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the repetitions have in common: median and range of each number, and how often all else was so."""
    summary: dict[str, Any] = {"repeats": len(figures)}
    for name in figures[0]:
        values = [each[name] for each in figures]
        known = [value for value in values if isinstance(value, float)]
        if known or set(values) == {None}:
            summary[name] = (
                {"count": len(known), "median": statistics.median(known), "min": min(known), "max": max(known)}
                if known
                else None
            )
        else:
            summary[name] = dict(Counter(map(str, values)))
    return summary


def _span(span: dict[str, float] | None, repeats: int, decimals: int, unit: str = "") -> str:
    if span is None:
        return "never"
    low, middle, high = (f"{span[name]:.{decimals}f}" for name in ("min", "median", "max"))
    share = "" if span["count"] == repeats else f" in {span['count']:.0f} of {repeats}"
    return (f"{middle}{unit}" if low == high else f"{middle}{unit} ({low} to {high})") + share


def print_table(results: dict[str, dict[str, Any]]) -> None:
    print(
        "| case | where | reacts first | after, s | most torque | above a third of it, s | at the end | hottest, °C | "
        "without torque after, s | from its rest, rad | fastest joint afterwards, rad/s | goes on after, s |"
    )
    print("|" + "---|" * 12)
    for name, summary in results.items():
        case, where = name.split(", in ")
        number = summary["repeats"]
        reacts = "; ".join(what if n == number else f"{what} ({n})" for what, n in summary["reacts"].items())
        alone = "by itself" if summary["by_itself"].get("True") == number else "once an operator says so"
        cells = [
            _span(summary["reaction_s"], number, 1),
            _span(summary["most_share"], number, 2),
            _span(summary["above_rated_s"], number, 1),
            _span(summary["share_at_end"], number, 2),
            _span(summary["hottest_c"], number, 0),
            _span(summary["without_torque_s"], number, 1),
            _span(summary["falls_rad"], number, 2),
            _span(summary["fastest_afterwards_rad_s"], number, 1),
            f"{_span(summary['goes_on_s'], number, 1)}, {alone}",
        ]
        print(f"| {case} | {where} | {reacts} | {' | '.join(cells)} |", flush=True)


@contextlib.contextmanager
def _trial_of(place: str, case: Case, repeat: int, domain: int) -> Iterator[_InTwin | _OnStandIn]:
    if place == "the twin":
        yield _InTwin(case, repeat)
        return
    with tempfile.TemporaryDirectory() as directory:
        with contextlib.closing(_OnStandIn(case, repeat, Path(directory), domain)) as trial:
            yield trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", metavar="WORDS", help="of a case's name and place, as 'bar, in the twin'")
    parser.add_argument("--domain", type=int, default=43, help="ROS domain")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    results = {}
    for place in ("the twin", "the stand-in"):
        for case in CASES:
            if options.only not in (name := f"{case.name}, in {place}"):
                continue
            random, figures = np.random.default_rng(0), []
            for repeat in range(options.repeats):
                with _trial_of(place, case, repeat, options.domain) as trial:
                    figures.append(trial.play(random).figures())
                print(f"{name}: {json.dumps(figures[-1])}", file=sys.stderr, flush=True)
            results[name] = summarise(figures)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n")
    print_table(results)


if __name__ == "__main__":
    main()
