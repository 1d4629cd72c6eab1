"""Stands between whatever chooses the action and the robot, and decides whether the choice is asked for at all."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from daydreamer.config import ActorConfig, SafetyConfig, WatchdogAction
from daydreamer.contract.embodiment import Command, Embodiment
from daydreamer.contract.limits import JointLimits
from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.contract.task import Task
from daydreamer.errors import UserError
from daydreamer.safety.belief import OUTSIDE_RAD, JointBelief, SignalCheck
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.ramp import Ramp
from daydreamer.safety.states import SafetyState, StateMachine, Trigger
from daydreamer.safety.watchdogs import Watchdog, Watchdogs, beyond_limits_rad

OPERATOR_PAUSE = "operator_pause"

MACHINES = (Watchdog.STATE_STALE, Watchdog.COMMAND_LATE)
"""Watchdogs of a machine or a network that is short of time: they hold a pose, however often, and latch nothing."""


class SafetySupervisor:
    """State machine, watchdogs and limits of one robot. Not thread-safe: the control loop's thread calls everything.

    Every tick:

        state = supervisor.begin_tick(tick_s, measurement)
        if state is RUNNING: command = supervisor.command(requested)
        else:                command = supervisor.command_without_policy()

    A software stop is not a hardware stop: it needs this process, the network and the driver to work.

    Attributes:
      limiter: the robot's guard, with counts of what was clipped.
      watchdogs: with what is raised now.
      latched: what a watchdog's trip has led to and only an operator's resume ends: action by its name.
      refused: measurements, by what was wrong with them.
      measurement: the newest, with the joints where they are believed to be. From the first tick on.
      runs: how often RUNNING has been entered.
      activations: how often somebody has set it out; emergency_stops: how often somebody has stopped it.
      cause: of the last transition.
      refusal: why the last activation or resume was refused, a sentence; empty if it was not.
    """

    def __init__(
        self,
        task: Task,
        actor: ActorConfig,
        safety: SafetyConfig | None = None,
        on_event: Callable[..., None] = lambda kind, **fields: None,
    ):
        """A stopped supervisor.

        Args:
          task: whose robot's limits and poses are enforced.
          actor: filter and timeouts of the state.
          safety: None for lock-step, where there is nothing to ramp to and no time that passes by itself.
          on_event: called as `on_event(kind, **fields)` for every transition and watchdog.

        Raises:
          UserError: the robot's folder does not state a limit or the ramp's pose.
        """
        robot = task.embodiment
        rate_hz = task.spec.control_rate_hz * robot.ticks_per_step(task.spec.control_rate_hz)
        self.limiter = robot.make_guard(robot.limits, actor.low_pass_cutoff_hz, rate_hz)
        self.watchdogs = Watchdogs(robot, actor, safety, on_event)
        self.latched: dict[Watchdog, WatchdogAction] = {}
        self.refused: collections.Counter[str] = collections.Counter()
        self.measurement: Measurement | None = None
        self.runs = 0
        self.activations = 0
        self.emergency_stops = 0
        self.cause = ""
        self.refusal = ""
        self._robot = robot
        self._signals = SignalCheck(robot.signals)
        self._safety = safety
        # In lock-step the twin is asked, and no message gets lost or damaged on the way.
        self._belief = None
        if safety is not None and isinstance(robot.limits, JointLimits):
            self._belief = JointBelief(robot.limits, 1.0 / rate_hz, robot.signals[JOINT_POSITION].largest)
        self._state_timeout_s = actor.state_timeout_s
        self._tripped: set[Watchdog] = set()
        self._trips_s: dict[Watchdog, collections.deque[float]] = collections.defaultdict(collections.deque)
        self._machine = StateMachine(self._on_transition)
        self._on_event = on_event
        self._damp_timeout_s = actor.damp_timeout_s
        self._ramp_pose = None if safety is None else _ramp_pose(robot, safety.ramp_pose)
        self._ramp_speed_rad_s = np.inf if safety is None else safety.ramp_speed_rad_s
        self._ramp: Ramp | None = None
        self._ramp_done = False
        self._ramp_setpoint: NDArray[np.float64] | None = None
        self._paused = False
        self._activations_refused = 0

    @property
    def state(self) -> SafetyState:
        return self._machine.state

    @property
    def active(self) -> bool:
        """Whether commands are sent that the policy or the ramp chooses, or would be if nothing were wrong."""
        return self.state not in (SafetyState.STOPPED, SafetyState.EMERGENCY_STOPPED)

    @property
    def lets_go(self) -> bool:
        """Whether only an operator leads on from this damping, so that a driver may end a stop of its own, too."""
        latched = self.state is SafetyState.DAMPING and bool(self.latched)
        return latched or self.state is SafetyState.EMERGENCY_STOPPED

    # What operators and the life cycle ask for; each says whether it changed anything.

    def activate(self, cause: str = "operator") -> bool:
        """Sets out from where the joints are believed to be; only when stopped, and not with a joint far outside."""
        if self.state is not SafetyState.STOPPED:
            latched = self.state is SafetyState.EMERGENCY_STOPPED
            self.refusal = "The emergency stop is latched; reset it first." if latched else "It is active already."
            return False
        self.refusal = self._joint_outside()
        if self.refusal:
            self._activations_refused += 1
            if _is_power_of_two(self._activations_refused):  # a button that repeats must not fill the disk
                self._on_event("activation_refused", reason=self.refusal, by=cause, count=self._activations_refused)
            return False
        self._paused = False
        self.latched.clear()
        self._tripped = set()  # what was raised while nobody drove, and still is, counts from the first tick on
        self.activations += 1
        return self._machine.fire(Trigger.ACTIVATE, cause)

    def deactivate(self, cause: str = "operator") -> bool:
        """Stops; the caller sends a last damping command."""
        return self._machine.fire(Trigger.DEACTIVATE, cause)

    def emergency_stop(self, cause: str = "operator") -> bool:
        """Damps from now on; only `emergency_reset` leads out."""
        self.emergency_stops += 1
        return self._machine.fire(Trigger.EMERGENCY_STOP, cause)

    def emergency_reset(self, cause: str = "operator") -> bool:
        """Back to stopped."""
        return self._machine.fire(Trigger.EMERGENCY_RESET, cause)

    def pause(self, cause: str = "operator") -> bool:
        """Holds the pose until `resume`."""
        if not self.active or self._paused:
            return False
        self._paused = True
        self._hold(OPERATOR_PAUSE)
        return True

    def resume(self, now_s: float, cause: str = "operator") -> bool:
        """Ends a pause and what is latched, or sets out when stopped; the operator has seen what is wrong.

        So a silent learner or an old policy that keeps the robot is accepted as it is, for as long again. Not so when
        there is nothing to resume: a key that repeats must not keep the watchdogs asleep.
        """
        self.refusal = ""
        if self.state is SafetyState.STOPPED:
            if not self.activate(cause):
                return False
            self.watchdogs.acknowledge(now_s)
            return True
        raised = self.watchdogs.raised
        if still := [name for name in self.latched if name in raised and name not in Watchdogs.ACKNOWLEDGEABLE]:
            self.refusal = f"Not yet: {', '.join(still)} is still raised."
            return False
        kept = any(raised.get(name, "warn") != "warn" for name in Watchdogs.ACKNOWLEDGEABLE)
        if not (self._paused or self.latched or kept) or not self.active:
            return False
        self.watchdogs.acknowledge(now_s)
        self._paused = False
        self.latched.clear()
        return True

    # The control loop.

    @property
    def stand_in_rad(self) -> NDArray[np.float64] | None:
        """`[joints]` inside the limits: says 'where you are' to a driver that knows positions only. Any thread may ask.

        The last angles that were believed and that the joints can have; None while a joint has said none yet, and for
        robots without joints.
        """
        position_rad = None if self._belief is None else self._belief.possible_rad
        return None if position_rad is None else self.limiter.inside(position_rad)

    def begin_tick(self, tick_s: float, measurement: Measurement) -> SafetyState:
        """Lets watchdogs and ramp lead to the state of this tick.

        Args:
          tick_s: now, on the clock that measurements are stamped with.
          measurement: the newest, whatever is in it.
        """
        gap_s = self.watchdogs.gap_s(tick_s)
        believed, wrong = self._take_in(measurement)
        self.measurement = believed
        commanded = self.limiter.setpoint if self.limiter.has_setpoint else None
        self.watchdogs.look(tick_s, believed, wrong, commanded)
        if self._safety is not None:
            self._latch(tick_s, self._safety)
        if not self.active:
            return self.state
        if gap_s is not None:
            self._after_gap(gap_s, tick_s, usable=wrong is None)
        self._follow_causes()
        if self.state is SafetyState.RAMPING:
            self._advance_ramp(tick_s)
        return self.state

    def command(self, requested: NDArray[np.float64]) -> Command:
        """See `Guard.command`; only while RUNNING."""
        return self.limiter.command(requested, self._measured)

    @property
    def _measured(self) -> NDArray[np.float64]:
        """`[setpoint]`, where the robot is. From the first tick on."""
        assert self.measurement is not None, "a tick begins with one"
        return self._robot.measured_setpoint(self.measurement)

    def command_without_policy(self) -> Command | None:
        """The command of every other state; None when there is nothing to send."""
        stale = SAFETY_FLAGS["state_stale"] if Watchdog.STATE_STALE in self.watchdogs.raised else 0
        match self.state:
            case SafetyState.STOPPED:
                return None
            case SafetyState.RAMPING:
                if self._ramp is None or self._ramp_setpoint is None:
                    return self.limiter.relax(stale)  # it is not certain yet where the joints are
                return self.limiter.follow(self._ramp_setpoint, self._measured)
            case SafetyState.HOLDING:
                return self.limiter.hold(stale)
            case SafetyState.DAMPING | SafetyState.EMERGENCY_STOPPED:
                return self.limiter.relax(stale)
        raise RuntimeError(f"no command without a policy while {self.state}")

    def sendable(self, command: Command | None, late_s: float) -> Command | None:
        """What is left of a command `late_s` after its tick: nothing that was decided before the loop stood still.

        None after a short stall: the next tick departs from where the robot is. After a long one the robot is damped.
        """
        if self._safety is None or command is None or command.relaxes or late_s <= self._safety.loop_gap_s:
            return command
        self._on_event("command_withdrawn", late_s=late_s)
        if late_s <= self._damp_timeout_s:
            return None
        self._machine.fire(Trigger.DAMP, Watchdog.LOOP_OVERRUN)
        return self.limiter.relax()

    def _take_in(self, measurement: Measurement) -> tuple[Measurement, str | None]:
        """The measurement with the joints where they are believed to be, and what is wrong if it cannot be used."""
        wrong = self._signals.unusable_quantity(measurement)
        belief = self._belief
        if wrong is not None:
            self._refuse(wrong)
        if belief is None:
            return measurement, wrong
        unsaid = np.full(len(self._robot.setpoint_names), np.nan)
        said_rad = measurement.get(JOINT_POSITION)
        doubted = belief.update(measurement.time_s, unsaid if said_rad is None else said_rad)
        if wrong is None and doubted.any() and belief.position_rad is not None:
            self._refuse(f"{JOINT_POSITION} of {self._robot.setpoint_names[int(doubted.argmax())]}")
        if belief.position_rad is None:
            return measurement, wrong
        if doubted.any() or not belief.certain:
            measurement = measurement.with_value(JOINT_POSITION, belief.position_rad)
        return measurement, wrong or (JOINT_POSITION if belief.doubt_s > self._state_timeout_s else None)

    def _refuse(self, what: str) -> None:
        self.refused[what] += 1
        count = self.refused[what]
        # Of a broken sensor every message is one; the operator hears of the 1st, 2nd, 4th, 8th ...
        if _is_power_of_two(count):
            self._on_event("measurement_refused", what=what, count=count)

    def _latch(self, tick_s: float, safety: SafetyConfig) -> None:
        """Of what has been raised since the last tick, or before setting out, makes last what an operator has to look
        at first.
        """
        raised = self.watchdogs.raised
        new, self._tripped = [name for name in raised if name not in self._tripped], set(raised)
        if self.active:
            for name in new:
                self._count_trip(name, raised[name], tick_s, safety)

    def _count_trip(self, name: Watchdog, action: WatchdogAction, tick_s: float, safety: SafetyConfig) -> None:
        if action == "warn" or name in MACHINES or name in self.latched:
            return
        trips_s = self._trips_s[name]
        trips_s.append(tick_s)
        while trips_s[0] < tick_s - safety.trips_window_s:
            trips_s.popleft()
        if name.value in safety.latching or len(trips_s) >= safety.trips:
            self.latched[name] = action
            trips_s.clear()
            self._on_event("latched", name=name.value, action=action)

    def _joint_outside(self) -> str:
        """A sentence about the joint that is farthest beyond its limits, if that is more than `OUTSIDE_RAD`."""
        position_rad = None if self._belief is None else self._belief.position_rad
        limits = self._robot.limits
        if position_rad is None or not isinstance(limits, JointLimits):
            return ""
        beyond_rad = beyond_limits_rad(limits, position_rad)
        joint = int(beyond_rad.argmax())
        if not beyond_rad[joint] > OUTSIDE_RAD:
            return ""
        lower_rad, upper_rad = limits.lower_rad[joint], limits.upper_rad[joint]
        turns = round(abs(position_rad[joint] - (lower_rad + upper_rad) / 2) / math.tau)
        hint = f", as if its zero were off by {turns} turn{'s' * (turns > 1)}" if turns else ""
        return (
            f"{self._robot.setpoint_names[joint]} is at {position_rad[joint]:+.2f} rad, {beyond_rad[joint]:.2f} rad "
            f"beyond its limits ({lower_rad:+.2f} to {upper_rad:+.2f}){hint}; check its zero, sign and unit with "
            "'daydreamer check-robot'."
        )

    def _follow_causes(self) -> None:
        actions = self.latched | self.watchdogs.raised
        if damping := [name for name, action in actions.items() if action == "damp"]:
            self._machine.fire(Trigger.DAMP, damping[0])
            self._say_latched(damping)
        elif holding := [name for name, action in actions.items() if action == "hold"]:
            self._hold(holding[0])
            self._say_latched(holding)
        elif self._paused:
            self._hold(OPERATOR_PAUSE)
        elif self.state is SafetyState.HOLDING:
            self._machine.fire(Trigger.RELEASE if self._ramp_done else Trigger.RELEASE_TO_RAMP, "all clear")
        else:
            self._machine.fire(Trigger.RECOVER, "all clear")

    def _hold(self, cause: str) -> None:
        # Without a commanded setpoint there is none to hold.
        self._machine.fire(Trigger.HOLD if self.limiter.has_setpoint else Trigger.DAMP, cause)

    def _say_latched(self, names: list[Watchdog]) -> None:
        if latched := [name for name in names if name in self.latched]:
            self.cause = f"{latched[0]}, latched: look at the robot, then resume"

    def _after_gap(self, gap_s: float, tick_s: float, usable: bool) -> None:
        """The robot may be anywhere, and after long its driver may have given up."""
        self.limiter.forget()
        if gap_s > self._damp_timeout_s:
            self._machine.fire(Trigger.DAMP, Watchdog.LOOP_OVERRUN)
            if self._safety is not None:
                self._count_trip(Watchdog.LOOP_OVERRUN, "damp", tick_s, self._safety)
        elif usable:
            if self._certain:
                self.limiter.depart(self._measured)
            self._hold(Watchdog.LOOP_OVERRUN)

    @property
    def _certain(self) -> bool:
        """Whether the robot is known to be where the newest measurement says, so that a command may depart there."""
        return self._belief is None or self._belief.certain

    def _advance_ramp(self, tick_s: float) -> None:
        if self._ramp is None:
            if not self.limiter.has_setpoint:
                if not self._certain:
                    return
                if outside := self._joint_outside():
                    self.refusal = outside
                    self._machine.fire(Trigger.DEACTIVATE, outside)
                    return
                self.limiter.depart(self._measured)
            start = self.limiter.setpoint
            end = start if self._ramp_pose is None else self._ramp_pose
            self._ramp = Ramp(start, end, self._ramp_speed_rad_s, tick_s)
        if self._ramp.is_done(tick_s):
            self._machine.fire(Trigger.RAMP_DONE, "ramp")
        else:
            self._ramp_setpoint = self._ramp.position_rad(tick_s)

    def _on_transition(self, before: str, after: str, trigger: str, cause: str) -> None:
        self.cause = cause
        self._ramp = None
        if after == SafetyState.RUNNING:
            self.runs += 1
            self._ramp_done = True
        elif after != SafetyState.HOLDING:
            self._ramp_done = False
        if after in (SafetyState.STOPPED, SafetyState.DAMPING, SafetyState.EMERGENCY_STOPPED):
            self.limiter.forget()
        self._on_event("safety_state", before=before, after=after, trigger=trigger, cause=cause)


def _ramp_pose(robot: Embodiment, name: str) -> NDArray[np.float64] | None:
    """Where every activation moves the robot first `[setpoint]`; None for one that has no poses.

    Raises:
      UserError: it has poses, but not this one.
    """
    if not robot.poses:
        return None
    if name not in robot.poses:
        raise UserError(
            f"safety.ramp_pose is '{name}', which the folder of '{robot.name}' does not have; choose one of "
            f"{', '.join(robot.poses)}."
        )
    return robot.poses[name]


def _is_power_of_two(count: int) -> bool:
    return count & (count - 1) == 0
