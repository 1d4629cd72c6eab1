"""Stands between whatever chooses the action and the robot, and decides whether the choice is asked for at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from daydreamer.config import ActorConfig, SafetyConfig
from daydreamer.experience.step import SAFETY_FLAGS
from daydreamer.robots.base import Measurement, Task
from daydreamer.safety.limiter import CommandLimiter, JointCommand
from daydreamer.safety.ramp import Ramp
from daydreamer.safety.states import SafetyState, StateMachine, Trigger
from daydreamer.safety.watchdogs import Watchdog, Watchdogs

OPERATOR_PAUSE = "operator_pause"


class SafetySupervisor:
    """State machine, watchdogs and limits of one robot. Not thread-safe: the control loop's thread calls everything.

    Every tick:

        state = supervisor.begin_tick(tick_s, measurement, usable)
        if state is RUNNING: command = supervisor.command(requested_rad, measurement.joint_position_rad)
        else:                command = supervisor.command_without_policy(measurement.joint_position_rad)

    A software stop is not a hardware stop: it needs this process, the network and the driver to work.

    Attributes:
      limiter: position, rate and torque limits, with counts of what was clipped.
      watchdogs: with what is raised now.
      runs: how often RUNNING has been entered.
      cause: of the last transition.
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
        rate_hz = task.spec.control_rate_hz
        self.limiter = CommandLimiter(task.limits, actor.low_pass_cutoff_hz, rate_hz)
        self.watchdogs = Watchdogs(task, actor, safety, on_event)
        self.runs = 0
        self.cause = ""
        self._machine = StateMachine(self._on_transition)
        self._on_event = on_event
        self._damp_timeout_s = actor.damp_timeout_s
        self._ramp_pose_rad = None if safety is None else task.ramp_poses_rad[safety.ramp_pose]
        self._ramp_speed_rad_s = np.inf if safety is None else safety.ramp_speed_rad_s
        self._ramp: Ramp | None = None
        self._ramp_done = False
        self._ramp_rad: np.ndarray | None = None
        self._paused = False

    @property
    def state(self) -> SafetyState:
        return self._machine.state

    @property
    def active(self) -> bool:
        """Whether commands are sent that the policy or the ramp chooses, or would be if nothing were wrong."""
        return self.state not in (SafetyState.STOPPED, SafetyState.EMERGENCY_STOPPED)

    # What operators and the life cycle ask for; each says whether it changed anything.

    def activate(self, cause: str = "operator") -> bool:
        """Sets out from the measured pose; only when stopped."""
        self._paused = False
        return self._machine.fire(Trigger.ACTIVATE, cause)

    def deactivate(self, cause: str = "operator") -> bool:
        """Stops; the caller sends a last damping command."""
        return self._machine.fire(Trigger.DEACTIVATE, cause)

    def emergency_stop(self, cause: str = "operator") -> bool:
        """Damps from now on; only `emergency_reset` leads out."""
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
        """Ends a pause, sets out when stopped, and takes a silent learner or an old policy as acknowledged."""
        self.watchdogs.acknowledge(now_s)
        if self.state is SafetyState.STOPPED:
            return self.activate(cause)
        was_paused, self._paused = self._paused, False
        return was_paused

    # The control loop.

    def begin_tick(self, tick_s: float, measurement: Measurement, usable: bool) -> SafetyState:
        """Lets watchdogs and ramp lead to the state of this tick.

        Args:
          tick_s: now, on the clock that measurements are stamped with.
          measurement: the newest.
          usable: whether every number in it is finite.
        """
        gap_s = self.watchdogs.gap_s(tick_s)
        commanded_rad = self.limiter.pose_rad if self.limiter.has_pose else None
        self.watchdogs.look(tick_s, measurement, usable, commanded_rad)
        if not self.active:
            return self.state
        if gap_s is not None:
            self._after_gap(gap_s, measurement.joint_position_rad if usable else None)
        self._follow_causes()
        if self.state is SafetyState.RAMPING:
            self._advance_ramp(tick_s, measurement.joint_position_rad)
        return self.state

    def command(self, requested_rad: np.ndarray, measured_rad: np.ndarray) -> JointCommand:
        """See `CommandLimiter.command`; only while RUNNING."""
        return self.limiter.command(requested_rad, measured_rad)

    def command_without_policy(self, measured_rad: np.ndarray) -> JointCommand | None:
        """The command of every other state; None when there is nothing to send."""
        stale = SAFETY_FLAGS["state_stale"] if Watchdog.STATE_STALE in self.watchdogs.raised else 0
        match self.state:
            case SafetyState.STOPPED:
                return None
            case SafetyState.RAMPING:
                return self.limiter.follow(self._ramp_rad, measured_rad)
            case SafetyState.HOLDING:
                return self.limiter.hold(stale)
            case SafetyState.DAMPING | SafetyState.EMERGENCY_STOPPED:
                return self.limiter.damp(stale)
        raise RuntimeError(f"no command without a policy while {self.state}")

    def _follow_causes(self) -> None:
        actions = self.watchdogs.raised
        if damping := [name for name, action in actions.items() if action == "damp"]:
            self._machine.fire(Trigger.DAMP, damping[0])
        elif holding := [name for name, action in actions.items() if action == "hold"]:
            self._hold(holding[0])
        elif self._paused:
            self._hold(OPERATOR_PAUSE)
        elif self.state is SafetyState.HOLDING:
            self._machine.fire(Trigger.RELEASE if self._ramp_done else Trigger.RELEASE_TO_RAMP, "all clear")
        else:
            self._machine.fire(Trigger.RECOVER, "all clear")

    def _hold(self, cause: str) -> None:
        # Without a commanded pose there is none to hold.
        self._machine.fire(Trigger.HOLD if self.limiter.has_pose else Trigger.DAMP, cause)

    def _after_gap(self, gap_s: float, measured_rad: np.ndarray | None) -> None:
        """The robot may be anywhere, and after long its driver may have given up."""
        self.limiter.forget()
        if gap_s > self._damp_timeout_s:
            self._machine.fire(Trigger.DAMP, Watchdog.LOOP_OVERRUN)
        elif measured_rad is not None:
            self.limiter.depart(measured_rad)
            self._hold(Watchdog.LOOP_OVERRUN)

    def _advance_ramp(self, tick_s: float, measured_rad: np.ndarray) -> None:
        if self._ramp is None:
            if not self.limiter.has_pose:
                self.limiter.depart(measured_rad)
            start_rad = self.limiter.pose_rad
            end_rad = start_rad if self._ramp_pose_rad is None else self._ramp_pose_rad
            self._ramp = Ramp(start_rad, end_rad, self._ramp_speed_rad_s, tick_s)
        if self._ramp.is_done(tick_s):
            self._machine.fire(Trigger.RAMP_DONE, "ramp")
        else:
            self._ramp_rad = self._ramp.position_rad(tick_s)

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
