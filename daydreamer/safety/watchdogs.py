"""Notices what goes wrong around the policy, says so once, and says what is to be done about it."""

from __future__ import annotations

import collections
import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daydreamer.config import ActorConfig, SafetyConfig, WatchdogAction
from daydreamer.contract.embodiment import Embodiment, Finding
from daydreamer.contract.limits import JointLimits
from daydreamer.contract.signals import (
    CHARGE,
    JOINT_POSITION,
    JOINT_VELOCITY,
    PEAK_JOINT_SPEED,
    TEMPERATURE,
    Measurement,
)
from daydreamer.safety.belief import OUTSIDE_RAD
from daydreamer.safety.limiter import stated
from daydreamer.safety.plausibility import joint_and_imu_checks

TEMPERATURE_HYSTERESIS_C = 5.0
BATTERY_HYSTERESIS = 0.05
REPORT_LASTS_S = 1.5
"""Temperature and charge count when they have been said for this long: motors do not warm by 80 K from one message to
the next."""
OVER_SPEED_WINDOW_S = 1.0
"""A joint that swings is slow at either end of each swing."""
IMPLAUSIBLE_S = 2.0
"""What was implausible has to be in order for this long: a damped joint, for one, has no command to disobey."""


class Watchdog(enum.StrEnum):
    """Names of what is watched; each is a cause to warn, hold or damp.

    Attributes:
      STATE_STALE, STATE_LOST: the newest usable state is older than the one and the other timeout.
      IMAGE_STALE: the newest picture of the camera is older than its own timeout.
      COMMAND_LATE: several commands in a row left late.
      LOOP_OVERRUN: too long between two ticks.
      SUSPENDED: the machine slept between them, while the clock of the loop stood still.
      LEARNER_SILENT: no sign of life of the learner, which may take longer while it starts.
      POLICY_TOO_OLD: no newer policy.
      PARENT_GONE: the process that started this one has died.
      COMMANDED_BY_OTHERS: somebody else tells the robot what to do as well.
      OVER_SPEED, OVER_TEMPERATURE, BATTERY_LOW: the robot has left its own limits.
      JOINT_OUTSIDE: a joint says that it is where none can be.
      IMPLAUSIBLE: a check that the robot's folder brings has found something.
      ENCODER_STUCK, JOINT_NOT_FOLLOWING, JOINT_BLOCKED, IMU_INCONSISTENT: see `daydreamer.safety.plausibility`.
    """

    STATE_STALE = "state_stale"
    STATE_LOST = "state_lost"
    IMAGE_STALE = "image_stale"
    COMMAND_LATE = "command_late"
    LOOP_OVERRUN = "loop_overrun"
    SUSPENDED = "suspended"
    LEARNER_SILENT = "learner_silent"
    POLICY_TOO_OLD = "policy_too_old"
    PARENT_GONE = "parent_gone"
    COMMANDED_BY_OTHERS = "commanded_by_others"
    OVER_SPEED = "over_speed"
    OVER_TEMPERATURE = "over_temperature"
    BATTERY_LOW = "battery_low"
    JOINT_OUTSIDE = "joint_outside"
    ENCODER_STUCK = "encoder_stuck"
    JOINT_NOT_FOLLOWING = "joint_not_following"
    JOINT_BLOCKED = "joint_blocked"
    IMU_INCONSISTENT = "imu_inconsistent"
    IMPLAUSIBLE = "implausible"


@dataclasses.dataclass(slots=True)
class Heartbeats:
    """When others were last heard of, on the clock of the control loop. Other threads write, the loop reads.

    Attributes:
      learner_s: the learner's last sign of life; None before the first look, and where there is no learner.
      learner_starting_s: how long it may be silent while it starts; None for one that has started.
      policy_s: when the policy in use was made; None while there is none, and for one that is to stay.
      intruders: names of those who command the robot beside us, as they are now.
      suspended_s: see `daydreamer.timing.suspended_s`; 0 where the clock of the loop is none of this machine's.
    """

    learner_s: float | None = None
    learner_starting_s: float | None = None
    policy_s: float | None = None
    intruders: tuple[str, ...] = ()
    suspended_s: float = 0.0


class Watchdogs:
    """Compares what the control loop knows with thresholds, tick by tick. Not thread-safe.

    Attributes:
      raised: action by name of each watchdog that is raised now.
      trips: how often each has been raised.
      heartbeats: see there.
      state_age_s: of the newest usable state, at the last tick.
      image_age_s: of the newest picture, likewise; None for a robot that needs none.
      joints_in_doubt: whether the joints have stopped following, as far as can be told yet; what they do now is not to
        be learned from.
    """

    ACKNOWLEDGEABLE = (Watchdog.LEARNER_SILENT, Watchdog.POLICY_TOO_OLD)
    """What an operator may accept as it is."""

    def __init__(
        self,
        robot: Embodiment,
        actor: ActorConfig,
        safety: SafetyConfig | None,
        on_event: Callable[..., None],
    ):
        """With `safety` None only the state and the gaps between ticks are watched: time does not pass by itself."""
        self._names = robot.setpoint_names
        self._limits = robot.limits
        self._own_pace = _OwnPace(robot, actor)
        self._actor = actor
        self._config = safety
        self._gap_limit_s = actor.state_timeout_s if safety is None else safety.loop_gap_s
        self._on_event = on_event
        self._last_tick_s: float | None = None
        self._suspended_s = 0.0
        self._last_usable_s = -np.inf
        self._late_commands = 0
        self._last_late_s = -np.inf
        self._fast_looked_s: float | None = None
        self._fast: collections.deque[tuple[float, float]] = collections.deque()
        self._hot, self._empty = _Lasting(), _Lasting()
        self._acknowledged_s = -np.inf
        self._plausibility = None if safety is None else _Plausibility(robot, safety, actor.state_timeout_s)
        self._implausible_s = dict.fromkeys(Watchdog, -np.inf)
        self.raised: dict[Watchdog, WatchdogAction] = {}
        self.trips = dict.fromkeys(Watchdog, 0)
        self.heartbeats = Heartbeats()
        self.state_age_s = np.inf
        self.image_age_s: float | None = None
        self.joints_in_doubt = False

    def acknowledge(self, now_s: float) -> None:
        """An operator goes on with what there is: learner and policy count as heard of now."""
        self._acknowledged_s = now_s

    def command_sent(self, tick_s: float, sent_s: float) -> None:
        """A tick's command has left."""
        if self._config is None:
            return
        if sent_s - tick_s > self._config.command_late_s:
            self._late_commands += 1
            self._last_late_s = sent_s
        else:
            self._late_commands = 0

    def parent_gone(self) -> None:
        """Nobody is left who could stop the robot; the caller ends."""
        self._judge(Watchdog.PARENT_GONE, True, "damp", 0.0, 0.0)

    def gap_s(self, tick_s: float) -> float | None:
        """Time since the last tick if the loop stood still, or slept with the machine, else None. Begins a tick."""
        begins = self._last_tick_s is None
        gap_s = 0.0 if self._last_tick_s is None else tick_s - self._last_tick_s
        slept_s = 0.0 if begins else self.heartbeats.suspended_s - self._suspended_s
        self._last_tick_s, self._suspended_s = tick_s, self.heartbeats.suspended_s
        self._judge(Watchdog.SUSPENDED, slept_s > self._gap_limit_s, "damp", slept_s, self._gap_limit_s)
        gap_s += slept_s
        if gap_s <= self._gap_limit_s:
            return None
        self._judge(Watchdog.LOOP_OVERRUN, True, "hold", gap_s, self._gap_limit_s)
        self._judge(Watchdog.LOOP_OVERRUN, False, "hold", 0.0, self._gap_limit_s)
        return gap_s

    def look(
        self, tick_s: float, measurement: Measurement, wrong: str | None, commanded: NDArray[np.float64] | None = None
    ) -> None:
        """Looks at everything once.

        Args:
          tick_s: now, on the clock that measurements are stamped with.
          measurement: the newest.
          wrong: the quantity for which it cannot be computed with; None if it can.
          commanded: `[setpoint]`, the command that the robot is following; None if there is none.
        """
        usable = wrong is None
        if usable:
            self._last_usable_s = measurement.time_s
        self.state_age_s = age_s = tick_s - self._last_usable_s
        actor = self._actor
        slow = self._own_pace.late(tick_s, measurement)
        if slow is not None and usable and age_s <= actor.state_timeout_s:
            late_s, limit_s, subject = slow.age_s, slow.limit_s, {"subject": slow.name}
        else:
            late_s, limit_s, subject = age_s, actor.state_timeout_s, {} if wrong is None else {"subject": wrong}
        self._judge(Watchdog.STATE_STALE, late_s > limit_s or not usable, "hold", late_s, limit_s, **subject)
        lost_s = actor.damp_timeout_s * limit_s / actor.state_timeout_s
        self._judge(Watchdog.STATE_LOST, late_s > lost_s, "damp", late_s, lost_s, **subject)
        if (picture := self._own_pace.oldest_picture(tick_s, measurement)) is not None:
            self.image_age_s = picture.age_s
            blind = picture.age_s > picture.limit_s
            self._judge(Watchdog.IMAGE_STALE, blind, "hold", picture.age_s, picture.limit_s, subject=picture.name)
        if self._config is not None:
            self._look_at_processes(tick_s, self._config)
            if usable:
                self._look_at_robot(tick_s, measurement, self._config)
        if usable and self._plausibility is not None:
            self._look_at_plausibility(tick_s, measurement, commanded, self._plausibility)

    def _look_at_processes(self, tick_s: float, config: SafetyConfig) -> None:
        intruders = self.heartbeats.intruders
        self._judge(
            Watchdog.COMMANDED_BY_OTHERS, bool(intruders), "hold", len(intruders), 0.0, subject=", ".join(intruders)
        )
        late = self._late_commands >= config.command_late_count
        if Watchdog.COMMAND_LATE in self.raised:
            late = tick_s - self._last_late_s < 1.0
        self._judge(
            Watchdog.COMMAND_LATE, late, config.command_late_action, self._late_commands, config.command_late_count
        )
        silent_s = config.learner_silent_s
        starting_s = self.heartbeats.learner_starting_s
        # A robot that a silent learner holds is not let go because that learner has ended and starts again.
        if starting_s is not None and Watchdog.LEARNER_SILENT not in self.raised:
            silent_s = max(silent_s, starting_s)
        for name, seen_s, limit_s, action in (
            (Watchdog.LEARNER_SILENT, self.heartbeats.learner_s, silent_s, config.learner_silent_action),
            (Watchdog.POLICY_TOO_OLD, self.heartbeats.policy_s, config.policy_old_s, config.policy_old_action),
        ):
            age_s = 0.0 if seen_s is None else tick_s - max(seen_s, self._acknowledged_s)
            self._judge(name, age_s > limit_s, action, age_s, limit_s)

    def _look_at_robot(self, tick_s: float, measurement: Measurement, config: SafetyConfig) -> None:
        if isinstance(self._limits, JointLimits):
            self._look_at_joints(tick_s, measurement, config, self._limits)
        if (temperature_c := measurement.get(TEMPERATURE)) is not None:
            limit = stated(self._limits.temperature_c)
            relief = TEMPERATURE_HYSTERESIS_C if Watchdog.OVER_TEMPERATURE in self.raised else 0.0
            hot = self._hot(tick_s, temperature_c > limit - relief)
            self._judge(Watchdog.OVER_TEMPERATURE, hot, "damp", temperature_c, limit)
        if (charge := measurement.get(CHARGE)) is not None:
            limit = stated(self._limits.battery_fraction)
            relief = BATTERY_HYSTERESIS if Watchdog.BATTERY_LOW in self.raised else 0.0
            empty = self._empty(tick_s, charge < limit + relief)
            self._judge(Watchdog.BATTERY_LOW, empty, "hold", charge, limit)

    def _look_at_joints(
        self, tick_s: float, measurement: Measurement, config: SafetyConfig, limits: JointLimits
    ) -> None:
        speed_rad_s = np.abs(measurement[JOINT_VELOCITY])
        if (peak_rad_s := measurement.get(PEAK_JOINT_SPEED)) is not None:
            speed_rad_s = np.fmax(speed_rad_s, peak_rad_s)
        excess = speed_rad_s - limits.velocity_rad_s
        joint = int(excess.argmax())
        fast_s = self._fast_s(tick_s, bool(excess[joint] > 0.0))
        self._judge(
            Watchdog.OVER_SPEED,
            fast_s > config.over_speed_s,
            "damp",
            fast_s,
            config.over_speed_s,
            subject=self._names[joint],
        )
        beyond_rad = beyond_limits_rad(limits, measurement[JOINT_POSITION])
        joint = int(beyond_rad.argmax())
        outside = bool(beyond_rad[joint] > OUTSIDE_RAD)
        self._judge(Watchdog.JOINT_OUTSIDE, outside, "damp", beyond_rad[joint], OUTSIDE_RAD, subject=self._names[joint])

    def _fast_s(self, tick_s: float, fast: bool) -> float:
        """Time within the last `OVER_SPEED_WINDOW_S` in which a joint was above its speed."""
        elapsed_s = 0.0 if self._fast_looked_s is None else tick_s - self._fast_looked_s
        self._fast_looked_s = tick_s
        if fast and elapsed_s <= self._gap_limit_s:
            self._fast.append((tick_s, elapsed_s))
        while self._fast and self._fast[0][0] < tick_s - OVER_SPEED_WINDOW_S:
            self._fast.popleft()
        return sum(seconds for _, seconds in self._fast)

    def _look_at_plausibility(
        self,
        tick_s: float,
        measurement: Measurement,
        commanded: NDArray[np.float64] | None,
        plausibility: _Plausibility,
    ) -> None:
        for name, action, finding in plausibility.look(measurement, commanded):
            if finding.wrong:
                self._implausible_s[name] = tick_s
            wrong = finding.wrong or (name in self.raised and tick_s - self._implausible_s[name] < IMPLAUSIBLE_S)
            details = {"subject": finding.subject} | ({"cure": finding.cure} if finding.cure else {})
            self._judge(name, wrong, action, finding.value, finding.threshold, **details)
        self.joints_in_doubt = plausibility.joints_in_doubt

    def _judge(
        self,
        name: Watchdog,
        tripped: bool,
        action: WatchdogAction,
        value: float,
        threshold: float,
        **details: str,
    ) -> None:
        if tripped == (name in self.raised):
            return
        if tripped:
            self.raised[name] = action
            self.trips[name] += 1
            self._on_event(
                "watchdog", name=name.value, action=action, value=float(value), threshold=float(threshold), **details
            )
        else:
            del self.raised[name]
            self._on_event("watchdog_cleared", name=name.value)


class _Plausibility:
    """The checks of `daydreamer.safety.plausibility` that the robot's signals allow, and those it brings, each with its
    watchdog and action.
    """

    def __init__(self, robot: Embodiment, config: SafetyConfig, gap_s: float):
        """After more than `gap_s` between two measurements the checks begin anew."""
        self._config = config
        self._gap_s = gap_s
        self._encoders, self._following, self._imu = joint_and_imu_checks(robot, config)
        self._own = tuple(robot.make_checks(config))
        shared = (self._encoders, self._following, self._imu)
        self._all = (*(check for check in shared if check is not None), *self._own)
        self._last_s = -np.inf

    @property
    def joints_in_doubt(self) -> bool:
        """See `Watchdogs`."""
        # Where it is only worth a warning, as in the twin, all that happens is learned from.
        damps = self._config.not_following_action == "damp"
        return damps and self._following is not None and self._following.doubtful

    def look(
        self, measurement: Measurement, commanded: NDArray[np.float64] | None
    ) -> Iterator[tuple[Watchdog, WatchdogAction, Finding]]:
        """Nothing if this measurement has been looked at before: that it is old is the concern of others."""
        elapsed_s, self._last_s = measurement.time_s - self._last_s, measurement.time_s
        if elapsed_s <= 0.0:
            return
        if elapsed_s > self._gap_s:
            for check in self._all:
                check.forget()
            elapsed_s = 0.0
        config = self._config
        if self._encoders is not None:
            finding = self._encoders.update(elapsed_s, measurement, commanded)
            yield Watchdog.ENCODER_STUCK, config.encoder_stuck_action, finding
        if self._following is not None:
            following, blocked = self._following.update(elapsed_s, measurement, commanded)
            yield Watchdog.JOINT_NOT_FOLLOWING, config.not_following_action, following
            yield Watchdog.JOINT_BLOCKED, config.blocked_action, blocked
        if self._imu is not None:
            yield Watchdog.IMU_INCONSISTENT, config.imu_action, self._imu.update(elapsed_s, measurement, commanded)
        if self._own:
            findings = [check.update(elapsed_s, measurement, commanded) for check in self._own]
            worst = next((finding for finding in findings if finding.wrong), findings[0])
            yield Watchdog.IMPLAUSIBLE, config.implausible_action, worst


class _Late(NamedTuple):
    """A signal with a rate of its own, and how old it is."""

    name: str
    age_s: float
    limit_s: float


class _OwnPace:
    """The signals that come at a pace of their own, each with the age beyond which it is stale."""

    def __init__(self, robot: Embodiment, actor: ActorConfig):
        self._slow_s = {
            name: signal.stale_s
            for name, signal in robot.signals.items()
            if signal.stale_s is not None and not (signal.optional or signal.is_image)
        }
        self._picture_s = {name: signal.stale_s or actor.image_timeout_s for name, signal in robot.cameras.items()}

    def late(self, tick_s: float, measurement: Measurement) -> _Late | None:
        """Of those that are no pictures, the one that is most beyond its limit; None if none is."""
        worst = self._worst(self._slow_s, tick_s, measurement)
        return worst if worst is not None and worst.age_s > worst.limit_s else None

    def oldest_picture(self, tick_s: float, measurement: Measurement) -> _Late | None:
        """The picture that is nearest to its limit, or farthest beyond; None where they are as new as the rest."""
        return self._worst(self._picture_s, tick_s, measurement)

    @staticmethod
    def _worst(limits_s: Mapping[str, float], tick_s: float, measurement: Measurement) -> _Late | None:
        known = [
            _Late(name, tick_s - measurement.received_s[name], limit_s)
            for name, limit_s in limits_s.items()
            if name in measurement.received_s
        ]
        return max(known, key=lambda late: late.age_s / late.limit_s, default=None)


class _Lasting:
    """A judgement on reports that changes only once the contrary has lasted: one report that is wrong is none.

    Where reports come less often than every `REPORT_LASTS_S`, one lasts as long.
    """

    def __init__(self) -> None:
        self._judgement = False
        self._since_s: float | None = None

    def __call__(self, now_s: float, bad: bool) -> bool:
        if bad == self._judgement:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s >= REPORT_LASTS_S:
            self._judgement, self._since_s = bad, None
        return self._judgement


def beyond_limits_rad(limits: JointLimits, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each joint `[joints]` is beyond the nearer of its mechanical limits; negative inside."""
    return np.maximum(limits.lower_rad - position_rad, position_rad - limits.upper_rad)


class StallWatch:
    """Calls for help from a thread of its own when the control loop stands still.

    The loop cannot damp a robot while it is stuck in a full disk or a compiler.
    """

    def __init__(self, timeout_s: float, on_stall: Callable[[float], None], clock: Callable[[], float]):
        """`on_stall(stalled_s)` is called once a stall, on the watching thread."""
        self._timeout_s = timeout_s
        self._on_stall = on_stall
        self._clock = clock
        self._alive_s: float | None = None
        self._called = False

    def alive(self) -> None:
        """The loop has come round."""
        self._alive_s = self._clock()
        self._called = False

    def rest(self) -> None:
        """The loop commands nothing from now on, and is not watched."""
        self._alive_s = None

    def look(self) -> None:
        """To be called every now and then by the watching thread."""
        alive_s = self._alive_s
        if alive_s is None or self._called:
            return
        stalled_s = self._clock() - alive_s
        if stalled_s > self._timeout_s:
            self._called = True
            self._on_stall(stalled_s)
