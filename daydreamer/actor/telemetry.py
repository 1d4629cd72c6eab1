"""Reports what the control loop does, without making it wait for a disk."""

from __future__ import annotations

import collections
import contextlib
import logging
import queue
import time
from collections.abc import Callable, Iterator

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.policy_age import PolicyAge
from daydreamer.actor.stuck import StuckWatch
from daydreamer.config import STARTING_PATIENCE
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.rolling import RollingExperienceWriter
from daydreamer.experience.step import Step
from daydreamer.pacer import Pacer
from daydreamer.periodic import Schedule, periodically
from daydreamer.policy.planning import Planner
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.known_motions import KnownMotions
from daydreamer.session.status import ActorStatus, StatusWriter, has_ended, read_process_status
from daydreamer.telemetry.metrics import MetricsWriter
from daydreamer.telemetry.milestones import MilestoneRecorder, Milestones
from daydreamer.telemetry.quantities import recent_figures
from daydreamer.timing import LatencyStatistics

STATUS_PERIOD_S = 0.5
RATE_WINDOW_S = 5.0


class ActorTelemetry:
    """Status file, event log and TensorBoard scalars of one actor life, written on a thread of their own.

    A disk that does not take them is complained about on stderr: reports are not worth stopping a robot for, and
    the experience log, which is, notices by itself.

    Attributes:
      state: see `ProcessStatus`; 'waiting' is for the robot's topics.
      step_latency: from control tick to sent command; the control loop adds to it.
      tick_jitter: how late ticks begin; likewise.
      camera: asked, on any thread, for what the camera sends, see `ActorStatus`.
      planner: reported about, too, if there is one.
      stuck_watch: likewise.
      known_motions: kept in the session, with those that earlier lives have left.
      notices: asked, on any thread, for sentences about what the operator should know now.
    """

    def __init__(
        self,
        session: Session,
        actor_life: int,
        writer: ExperienceWriter | RollingExperienceWriter,
        milestones: Milestones,
    ):
        self.state = "waiting"
        self.step_latency = LatencyStatistics()
        self.tick_jitter = LatencyStatistics()
        self.notices: Callable[[], list[str]] = list
        self.camera: Callable[[], str | None] = lambda: None
        self.planner: Planner | None = None
        self.stuck_watch: StuckWatch | None = None
        self._session = session
        self._actor_life = actor_life
        self._writer = writer
        self._milestones = MilestoneRecorder(milestones, self.event)
        self._status = StatusWriter(session, "actor")
        self._policy_age = PolicyAge()
        self._event_log = EventLog(session.events)
        self._events: queue.SimpleQueue[tuple[str, dict]] = queue.SimpleQueue()
        self._ticks: collections.deque[tuple[float, int]] = collections.deque(
            [(time.monotonic(), 0)], maxlen=round(RATE_WINDOW_S / STATUS_PERIOD_S)
        )
        self._metrics = Schedule(session.config.learner.metrics_period_s, at_once=True)
        self._learner_pulse = LearnerPulse(session) if session.learns else None
        self.known_motions = KnownMotions(session, self.event)
        self._starting_s = STARTING_PATIENCE * session.config.learner.silence_timeout_s

    def event(self, kind: str, **fields: object) -> None:
        """Records an event of now, from any thread, without touching the disk yet."""
        self._events.put((kind, {"wall_s": time.time(), "monotonic_s": time.monotonic()} | fields))

    def on_step(self, step: Step) -> None:
        """Judges a logged step by what the robot measured, as it knows nothing else."""
        self._milestones.add(step)
        if self.stuck_watch is not None:
            self.stuck_watch.add(step)

    @contextlib.contextmanager
    def running(self, loop: ControlLoop, pacer: Pacer) -> Iterator[None]:
        """Reports about `loop` until the end of the block, whose exception becomes the 'fault' event."""
        self.event("start", actor_life=self._actor_life, env_steps=loop.statistics.env_steps)
        self._write(self.current(loop, pacer))
        with contextlib.closing(MetricsWriter(self._session.metrics / "actor")) as metrics:
            try:
                with periodically(lambda: self._report(loop, pacer, metrics), STATUS_PERIOD_S, "actor-telemetry"):
                    yield
                self.state = "stopped"
            except Exception as error:
                self.state = "failed"
                self.event("fault", error=str(error))
                raise
            finally:
                self.known_motions.keep(loop.known_motions)
                self.event("stop", actor_life=self._actor_life, env_steps=loop.statistics.env_steps)
                self._write(self.current(loop, pacer))

    def _report(self, loop: ControlLoop, pacer: Pacer, metrics: MetricsWriter) -> None:
        if self._learner_pulse is not None:
            heartbeats = loop.supervisor.watchdogs.heartbeats
            # The time first: the loop must not meet the shorter limit with the time that the longer one went with.
            heartbeats.learner_s = self._learner_pulse.last_s()
            heartbeats.learner_starting_s = self._starting_s if self._learner_pulse.starting else None
        self._ticks.append((time.monotonic(), self.step_latency.count))
        self._write(self.current(loop, pacer))
        self.known_motions.keep(loop.known_motions)
        if self._metrics.due():
            self._add_scalars(metrics, loop, pacer)

    def _write(self, status: ActorStatus) -> None:
        while not self._events.empty():
            kind, fields = self._events.get()
            self._event_log.attempt(kind, "actor", **fields)
        self._status.attempt(status)

    def current(self, loop: ControlLoop, pacer: Pacer) -> ActorStatus:
        """All figures as of now; any thread may ask."""
        statistics, policy, recent = loop.statistics, loop.policy, loop.statistics.recent()
        pulse = self._learner_pulse
        (begin_s, begin_ticks), (end_s, end_ticks) = self._ticks[0], (time.monotonic(), self.step_latency.count)
        steps = (end_ticks - begin_ticks) / loop.ticks_per_step
        return ActorStatus(
            state=self.state,
            env_steps=statistics.env_steps,
            episodes=statistics.episodes,
            control_rate_hz=steps / (end_s - begin_s) if end_s > begin_s else None,
            ticks=end_ticks,
            deadline_misses=pacer.deadline_misses,
            ticks_per_step=loop.ticks_per_step,
            actor_step_ms=self.step_latency.summary(),
            policy_version=policy.version if policy else 0,
            # A frozen policy is as old as it may be.
            policy_age_s=None if pulse is None else self._policy_age(policy),
            **safety_status(loop),
            **planning_status(self.planner),
            learner_silence_s=None if pulse is None else pulse.silence_s,
            learner_starting=None if pulse is None else pulse.starting,
            tick_jitter_ms=self.tick_jitter.summary(),
            reward_recent=recent.get("reward"),
            stuck_s=None if self.stuck_watch is None else self.stuck_watch.stuck_s,
            figures_recent=recent_figures(self._session.presentation, recent),
            milestones_s=self._milestones.reached_s,
            actor_life=self._writer.actor_life,
            last_logged_sequence=self._writer.last_sequence,
            append_ms=self._writer.append_latency.summary(),
            notices=self.notices(),
            camera=self.camera(),
        )

    def _add_scalars(self, metrics: MetricsWriter, loop: ControlLoop, pacer: Pacer) -> None:
        step = loop.statistics.env_steps
        scalars = dict(loop.statistics.recent())
        scalars |= {"policy_version": loop.policy.version if loop.policy else 0}
        scalars |= {"deadline_misses": pacer.deadline_misses, "safety_events": loop.supervisor.limiter.interventions}
        scalars |= {f"step_ms/{name}": value for name, value in self.step_latency.summary().items()}
        for name, value in scalars.items():
            if value is not None:
                metrics.add_scalar(f"actor/{name}", value, step)


class LearnerPulse:
    """When the learner was last at work, on the steady clock: its status file says so, and changes.

    Its heartbeat is only compared with itself: another machine's steady clock would say nothing here. A learner is
    starting until it has been seen at work, and once more when it has ended: whoever keeps it starts another. What it
    reports while it starts is no sign of life: one that dies each time it starts would never be told from a sound one.

    Attributes:
      starting: whether it was at the last look.
    """

    def __init__(self, session: Session):
        self._session = session
        self._seen: float | None = None
        self._seen_s = time.monotonic()
        self._complaint = ""
        self.starting = True

    @property
    def silence_s(self) -> float:
        """Since the last sign of life, or since this object was made."""
        return time.monotonic() - self._seen_s

    def last_s(self) -> float:
        """Looks, and returns when the last sign of life was noticed, on `time.monotonic()`.

        A file that nobody can make sense of, whatever is in it, is none.
        """
        try:
            status = read_process_status(self._session, "learner")
        except Exception as error:
            if self._complaint != (complaint := repr(error)):
                self._complaint = complaint
                logging.error("The learner's status cannot be read: %s", complaint)
            return self._seen_s
        if status is None:
            return self._seen_s
        before, self._seen = self._seen, status.heartbeat_steady_s
        if status.state != "running" or has_ended(status):
            self.starting = True
        elif status.heartbeat_steady_s != before:
            self._seen_s = time.monotonic()
            # What the first look finds may be of a learner before the machine's last start.
            self.starting = self.starting and before is None
        return self._seen_s


def planning_status(planner: Planner | None) -> dict[str, object]:
    """What `ActorStatus` says of plans; may be called on any thread."""
    if planner is None:
        return {}
    return {
        "plans": planner.plans,
        "plans_late": planner.late,
        "planned_steps": planner.imagined_steps,
        "plan_ms": planner.latency.summary(),
    }


def safety_status(loop: ControlLoop) -> dict[str, object]:
    """What `ActorStatus` says of the safety supervisor; may be called on any thread."""
    supervisor, watchdogs = loop.supervisor, loop.supervisor.watchdogs
    return {
        "safety_events": supervisor.limiter.interventions,
        "safety_counts": {name: count for name, count in supervisor.limiter.counts.items() if count},
        "safety_state": supervisor.state.value,
        "safety_cause": supervisor.cause,
        "watchdogs_raised": {name.value: action for name, action in list(watchdogs.raised.items())},
        "watchdog_trips": {name.value: count for name, count in watchdogs.trips.items() if count},
        "intervention_steps": loop.statistics.interventions,
        "state_age_s": watchdogs.state_age_s,
        "image_age_s": watchdogs.image_age_s,
    }
