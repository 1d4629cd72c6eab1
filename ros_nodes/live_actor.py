"""A configured actor: the control loop with the topics, files and threads that it lives on."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from daydreamer.actor import garbage
from daydreamer.actor.control_loop import ActingPolicy, ControlLoop
from daydreamer.actor.gamepad import GamepadLayout
from daydreamer.actor.loader import PolicyLoader, warm_up
from daydreamer.actor.operator import STEER, OperatorRequest, Operators, Reply
from daydreamer.actor.stuck import StuckWatch, patience_s
from daydreamer.actor.telemetry import ActorTelemetry
from daydreamer.config import SessionConfig
from daydreamer.contract.task import Task
from daydreamer.errors import UserError
from daydreamer.pacer import Pacer
from daydreamer.periodic import periodically
from daydreamer.policy.planning import Planner, make_planner
from daydreamer.policy.policy import Policy
from daydreamer.safety.states import SafetyState
from daydreamer.safety.watchdogs import StallWatch
from daydreamer.scheduling import ACTOR_PRIORITY, leave_real_time, put_robot_first
from daydreamer.session.directory import Session
from daydreamer.session.progress import logged_steps
from daydreamer.session.recording import begin_log
from daydreamer.session.status import ActorStatus, has_ended, read_process_status, read_status
from daydreamer.session.stop_latch import StopLatch
from daydreamer.session.wiring import keep_wiring
from daydreamer.stop_request import StopRequest
from daydreamer.telemetry.milestones import Milestones
from daydreamer.timing import suspended_s
from ros_nodes import runtime, topics
from ros_nodes.commands import CommandPublisher
from ros_nodes.diagnostics import diagnostic_array
from ros_nodes.graph_watch import GraphWatch, others_than_twin, why_silent
from ros_nodes.operator_input import KEYBOARD, OperatorInput
from ros_nodes.parameters import ActorParameters
from ros_nodes.robot_state import RobotState

WAITING_MESSAGE_PERIOD_S = 3.0
STALL_POLL_S = 0.05
GRAPH_POLL_S = 0.5
NOTICE_S = 10.0
"""How long what happened once is shown."""
LATCH_POLL_S = 0.1


class LiveActor:
    """Observes from its making on; commands between `activate` and `deactivate`. A context manager.

    Everything but diagnostics and the watch over a stalled loop happens on the thread that calls `tick`.

    Attributes:
      loop: the control loop.
    """

    def __init__(
        self,
        node: Node,
        session: Session,
        task: Task,
        parameters: ActorParameters,
        stop: StopRequest,
        set_out: Callable[[], bool] | None = None,
    ):
        """Loads the newest policy, and checks that the robot is there for this actor alone and driven as before.

        A session that plays a frozen policy has that one alone: without it the robot does not move.

        Args:
          set_out: has the node activated, on an operator's request; None if that is up to whoever leads its life cycle.

        Raises:
          UserError: somebody else commands the robot, it was driven otherwise in this session, or the policy that is to
            be played cannot be used.
        """
        spec, config = task.spec, session.config
        self._frozen = session.plays is not None
        self._node, self._session, self._spec, self._stop = node, session, spec, stop
        self._ticks = 0
        self._activated = self._closed = False
        self._set_out = set_out
        self._reads_keys = False
        self._deaf = ""
        self._said: dict[str, tuple[str, float]] = {}
        with contextlib.ExitStack() as stack:
            stack.enter_context(runtime.entities(node))
            untrained = self._meet_robot(stack, session, task, parameters)
            self._begin_life(stack, session, task, untrained)
            self._find_policy(session)
            garbage.freeze()
            self._pacer = Pacer(self.loop.tick_period_s, time.monotonic() + self.loop.tick_period_s)
            self._operators = Operators(self.loop, task, self._telemetry.event, time.monotonic, self._damp)
            layout = GamepadLayout(parameters.joy_axes, parameters.joy_deadman_button)
            self._input = OperatorInput(node, self._operators, self.request, self._steer, layout)
            self._stall = StallWatch(config.actor.damp_timeout_s, self._on_stall, time.monotonic)
            self._diagnostics = node.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, 1)
            self._diagnostics_period_s = parameters.diagnostics_period_s
            self._begin_threads(stack)
            self._state.take_waiting()
            self._next_message_s = time.monotonic() + WAITING_MESSAGE_PERIOD_S  # nobody has listened before
            self._next_stranger_s = self._next_message_s
            self._stack = stack.pop_all()

    def _meet_robot(
        self, stack: contextlib.ExitStack, session: Session, task: Task, parameters: ActorParameters
    ) -> Policy:
        """Makes the topics, and sees that nobody else commands the robot; returns a policy that has compiled meanwhile.

        Raises:
          UserError: somebody does, or the robot was driven otherwise in this session.
        """
        node, spec, config = self._node, self._spec, session.config
        self._begin_s = time.monotonic()
        keep_wiring(session, topics.wiring_of(node, parameters.command_interface, task.embodiment))
        self._state = RobotState(
            node,
            spec,
            task.embodiment,
            self._notice,
            foot_unloaded_n=parameters.foot_force_unloaded_n,
            image_transport=parameters.image_transport,
        )
        stack.callback(self._state.close)
        # Compiling holds up every thread of Python; afterwards a snapshot only brings other parameters. Nodes are
        # discovered meanwhile.
        untrained = Policy.untrained(spec, config.model, plans=config.actor.plan.samples > 0)
        warm_up(untrained, spec)
        topic = node.resolve_topic_name(topics.command_topic(task.embodiment))
        runtime.refuse_second_publisher(node, time.sleep, topic, self._stop, self._begin_s, before_own=True)
        self._commands = CommandPublisher(node, task.embodiment, parameters.command_interface)
        self._graph = GraphWatch(
            node,
            self._commands.topic_name,
            self._state.topic_names,
            self._on_publishers,
            OperatorInput.heard_types(node),
        )
        return untrained

    def _begin_life(self, stack: contextlib.ExitStack, session: Session, task: Task, untrained: Policy) -> None:
        """Begins a log, and the control loop that writes it; an emergency stop of an earlier life is latched."""
        spec, config = self._spec, session.config
        earlier_steps, earlier = logged_steps(session), read_status(session)
        writer = stack.enter_context(begin_log(session))
        life = writer.actor_life
        robot_s = earlier_steps * spec.control_period_s
        wanted = session.presentation.milestones
        milestones = Milestones(wanted, spec.control_period_s, robot_s, earlier["milestones_s"])
        self._telemetry = ActorTelemetry(session, life, writer, milestones)
        self._telemetry.notices = self.notices
        self._telemetry.camera = lambda: self._state.camera
        self._planner = self._make_planner(stack, config, untrained, earlier["planned_steps"] or 0)
        self._telemetry.planner = self._planner
        if task.operator_stick == "rate" and not self._frozen:  # what is shown by a stick of poses teaches little
            self._telemetry.stuck_watch = StuckWatch(spec, patience_s(spec))
        self.loop = ControlLoop(
            task,
            config.actor,
            writer,
            actor_life=life,
            seed=config.seed,
            safety=config.safety,
            earlier_steps=earlier_steps,
            earlier_episodes=earlier["episodes"] or 0,
            on_event=self._telemetry.event,
            on_step=self._telemetry.on_step,
        )
        self.loop.recall(self._telemetry.known_motions.motions)
        self._latch = StopLatch(session)
        if self._latch.stopped:
            self.loop.supervisor.emergency_stop("an earlier life of the actor")

    def _find_policy(self, session: Session) -> None:
        """Takes the newest policy, if there is one.

        Raises:
          UserError: there is none, and the session plays one.
        """
        config = session.config
        self._loader = PolicyLoader(
            session.policy,
            self._spec,
            functools.partial(Policy.load, seed=config.seed, acting_noise=config.model.acting_noise),
            on_policy=self._take_policy,
            on_event=self._telemetry.event,
            poll_s=config.actor.snapshot_poll_s,
        )
        self._loader.poll()
        if self._frozen and self.loop.policy is None:
            raise UserError(
                f"{session.path} is to play a policy, and there is none in {session.policy} that can be used; "
                "'daydreamer doctor' says what is wrong with it. Play it anew from the session that learned it."
            )

    def _begin_threads(self, stack: contextlib.ExitStack) -> None:
        """Whatever else has to be looked at meanwhile; before the robot comes none of it."""
        stack.enter_context(self._telemetry.running(self.loop, self._pacer))
        if not self._frozen:
            stack.enter_context(self._loader.running())
        stack.callback(self._keep_latch)  # what came after the thread's last look
        stack.enter_context(periodically(self._keep_latch, LATCH_POLL_S, "stop-latch"))
        stack.enter_context(periodically(self._stall.look, STALL_POLL_S, "stall-watch"))
        stack.enter_context(periodically(self._look_around, GRAPH_POLL_S, "graph-watch"))
        stack.enter_context(periodically(self._publish_diagnostics, self._diagnostics_period_s, "diagnostics"))
        # All threads: one that is held up while it holds the interpreter lock holds up the control loop.
        self._telemetry.event("scheduling", **dataclasses.asdict(put_robot_first(ACTOR_PRIORITY)))
        stack.callback(leave_real_time)  # configured anew, it compiles again

    def _make_planner(
        self, stack: contextlib.ExitStack, config: SessionConfig, untrained: Policy, earlier_steps: int
    ) -> Planner | None:
        """One that has compiled, if this session plans; `earlier_steps` were imagined in its earlier lives."""
        budget_s = 1e-3 * config.actor.plan.budget_ms
        planner = make_planner(self._spec, config, self._telemetry.event, budget_s)
        if planner is not None:
            stack.callback(planner.close)
            planner.warm_up(untrained, {key: space.zeros() for key, space in self._spec.observation.items()})
            planner.imagined_steps = earlier_steps
        return planner

    def _take_policy(self, policy: ActingPolicy) -> None:
        """On the loader's thread."""
        if self._planner is not None and isinstance(policy, Policy):
            policy = self._planner.equip(policy)
        self.loop.set_policy(policy, self._frozen)

    def read_operator(self) -> None:
        """From now on requests also come as lines on standard input."""
        self._stack.enter_context(self._input.reading())
        self._reads_keys = True

    def silent_topics(self) -> list[str]:
        """Topics of the robot on which nothing has arrived yet."""
        return self._state.silent_topics(self._begin_s)

    @property
    def ready(self) -> bool:
        """Whether the robot speaks, and can be told what to do."""
        return not (self.silent_topics() or self._commands.not_ready())

    def _why_not_its_twin(self) -> str:
        """Why what speaks here may be another robot than the session's own twin; empty if it is the twin for certain.

        What sets out by itself may only ever be the twin: a driver may be running whose robot nobody has thought of.
        """
        status = read_process_status(self._session, "twin")
        if status is None or status.state != "running" or has_ended(status):
            return "the session's own twin does not run yet"
        for topic in self._state.topic_names:
            if others := others_than_twin(self._node, topic):
                return f"{topic} is published by {', '.join(others)}, which is not the session's twin"
        return ""

    def is_its_twin(self) -> bool:
        """Whether what speaks here is the session's own twin; why not is said now and then. Asks the graph."""
        why = self._why_not_its_twin()
        if not why:
            return True
        self._say("stranger", f"does not set out by itself: {why}")
        if time.monotonic() > self._next_stranger_s:
            self._next_stranger_s = time.monotonic() + WAITING_MESSAGE_PERIOD_S
            print(f"Not setting out by itself: {why}. Stop that one, or set out by a resume.", flush=True)
        return False

    def activate(self, by_itself: bool = False) -> bool:
        """Sets out from the measured pose; False if the robot is silent, or for the supervisor's `refusal`.

        One that starts `by_itself` is active, but waits for an operator's resume, if there has been an emergency stop,
        which may be of an earlier life.
        """
        supervisor = self.loop.supervisor
        if intruders := self._graph.intruders:
            supervisor.refusal = f"{', '.join(intruders)} also publishes {self._commands.topic_name}; stop it first."
            return False
        if deaf := self._commands.not_ready():
            supervisor.refusal = deaf
            return False
        stays_stopped = by_itself and supervisor.emergency_stops > 0
        if self.silent_topics() or not (stays_stopped or supervisor.activate("activated")):
            return False
        if not by_itself:  # an operator who sets out goes on with the policy that there is
            supervisor.watchdogs.acknowledge(time.monotonic())
        self._activated = True
        self._telemetry.state = "running"
        # A period from now, so that the newest state is taken in before.
        self._pacer.restart(time.monotonic() + self._pacer.period_s)
        return True

    def deactivate(self, cause: str = "deactivated") -> None:
        """Damps, and commands nothing more."""
        if self._stop.parent_gone:
            self.loop.supervisor.watchdogs.parent_gone()
        # A latched stop stays latched; in either case the last thing that the robot hears is to damp.
        if self.loop.supervisor.deactivate(cause) or self.loop.supervisor.state is SafetyState.EMERGENCY_STOPPED:
            self._commands.let_go_surely(self.loop.supervisor.stand_in_rad)
        self._stall.rest()
        self._activated = False
        self._telemetry.state = "waiting"

    def request(self, request: OperatorRequest, source: str) -> Reply:
        """Carries out what an operator asks for; an emergency stop leaves at once, not with the next tick."""
        if request is OperatorRequest.EMERGENCY_RESET:
            self._input.forget_gone()
        if request is OperatorRequest.RESUME and not self._activated:
            reply = self._activate_for_operator()
            self._telemetry.event("operator", request=request.value, by=source, accepted=reply.accepted)
        else:
            reply = self._operators.request(request, source)
        said = f"{request.value.replace('_', ' ')} by {source}"
        self._say("operator", f"{said}: {reply.message}" if reply.accepted else f"{said} refused: {reply.message}")
        return reply

    def _steer(self, key: str) -> None:
        reply = self._operators.steer(key, KEYBOARD)
        if reply is not None:
            self._say("operator", f"{STEER} by {KEYBOARD} refused: {reply.message}")

    def _activate_for_operator(self) -> Reply:
        if self._set_out is None:
            return Reply(False, "The actor is inactive; activate it first.")
        if silent := self.silent_topics():
            return Reply(False, f"Nothing usable has arrived on {', '.join(silent)}; start what publishes it.")
        if self._set_out():
            return Reply(True, "Setting out.")
        return Reply(False, self.loop.supervisor.refusal or "The actor cannot be activated; its log says why.")

    def notices(self) -> list[str]:
        """What the operator should know now; any thread may ask."""
        said = []
        supervisor = self.loop.supervisor
        waits = not self._activated or not supervisor.active or supervisor.latched
        if waits and not self.silent_topics():
            said.append(self._waits())
        if self._deaf:
            said.append(self._deaf)
        if holders := sorted(self._operators.holders):
            said.append(f"the emergency stop is held by {', '.join(holders)}")
        said += self._graph.words()
        now_s = time.monotonic()
        return said + [text for text, until_s in list(self._said.values()) if now_s < until_s]

    def _waits(self) -> str:
        """How to set out."""
        name = self._node.get_fully_qualified_name()
        if self._set_out is None and not self._activated:
            return f"waits for you: ros2 lifecycle set {name} activate"
        stopped = self.loop.supervisor.state is SafetyState.EMERGENCY_STOPPED
        service = f"ros2 service call {name}/resume std_srvs/srv/Trigger"
        keys = "r, then Y, in the terminal of walk"
        if stopped:
            service = f"ros2 service call {name}/e_stop_reset std_srvs/srv/Trigger, then {service}"
            keys = "x, then Y, then r, then Y, in the terminal of walk"
        return f"waits for you: press {keys}, or {service}" if self._reads_keys else f"waits for you: {service}"

    def _say(self, about: str, text: str) -> None:
        """Tells the operator for a while."""
        self._said[about] = text, time.monotonic() + NOTICE_S

    def _notice(self, text: str, topic: str, fault: str, **fields: object) -> None:
        """Of a message that is not as it should be."""
        print(text, flush=True)
        self._telemetry.event("message", topic=topic, fault=fault, **fields)
        self._say(f"{topic} {fault}", text)

    def _look_around(self) -> None:
        """On a thread of its own."""
        self._graph.look()
        self._deaf = self._commands.not_ready()
        self.loop.supervisor.watchdogs.heartbeats.intruders = self._graph.intruders

    def _on_publishers(self, kind: str, **fields: object) -> None:
        self._telemetry.event(kind, **fields)
        for sentence in self._graph.words():
            print(f"{sentence}.", flush=True)

    def _damp(self) -> None:
        supervisor = self.loop.supervisor
        self._commands.damp(supervisor.stand_in_rad, supervisor.lets_go)

    def tick(self, spinner: runtime.Spinner) -> None:
        """Waits for the next control tick, running callbacks meanwhile, and answers the newest state."""
        spinner.until(self._pacer.tick_s)
        if self._closed:  # by what has just been called back
            return
        if silent := self.silent_topics():
            self._state.require_usable()
            self._say_what_is_silent(silent)
            self._pacer.restart(time.monotonic() + self._pacer.period_s)
            return
        now_s = time.monotonic()
        self._telemetry.tick_jitter.add(now_s - self._pacer.tick_s)
        self._pacer.begin(now_s)
        self._answer(self._pacer.tick_s)
        self._collect_garbage()

    def _answer(self, tick_s: float) -> None:
        self._operators.tick()
        self.loop.supervisor.watchdogs.heartbeats.suspended_s = suspended_s()
        measurement = self._state.measurement()
        if tick_s - measurement.time_s > WAITING_MESSAGE_PERIOD_S:
            self._say_what_is_silent(self._state.silent_topics(tick_s - WAITING_MESSAGE_PERIOD_S))
        else:
            self._said.pop("silence", None)  # it has spoken
        command, supervisor = self.loop.step(measurement, tick_s), self.loop.supervisor
        if command is not None:
            self._commands.send(command.setpoint, supervisor.stand_in_rad, supervisor.lets_go)
        sent_s = time.monotonic()
        self._pacer.finish(sent_s)
        self._telemetry.step_latency.add(sent_s - tick_s)
        if supervisor.active:
            supervisor.watchdogs.command_sent(tick_s, sent_s)
            self._stall.alive()
        else:
            self._stall.rest()

    def _collect_garbage(self) -> None:
        """Once a second, only with most of the period left, and not amid the many objects of a policy in the making."""
        self._ticks += 1
        idle = self._pacer.tick_s - time.monotonic() > self._pacer.period_s / 2 and not self._loader.busy
        if idle and self._ticks % round(1.0 / self._pacer.period_s) == 0:
            garbage.collect()

    def _say_what_is_silent(self, silent: Sequence[str]) -> None:
        if time.monotonic() < self._next_message_s:
            return
        self._next_message_s = time.monotonic() + WAITING_MESSAGE_PERIOD_S
        self._say("silence", f"waits for the robot: nothing usable has come on {', '.join(silent)}")
        print(f"Waiting for a message on {', '.join(silent)}.", flush=True)
        reasons = [self._state.problem(topic) or why_silent(self._node, topic) for topic in silent]
        for reason in dict.fromkeys(reasons):
            print(f"  {reason}", flush=True)

    def _on_stall(self, stalled_s: float) -> None:
        """On a thread of its own: the control loop is stuck."""
        self._damp()
        self._telemetry.event("watchdog_stall", stalled_s=stalled_s, action="damp")

    def _keep_latch(self) -> None:
        self._latch.keep(self.loop.supervisor.state is SafetyState.EMERGENCY_STOPPED)

    def _publish_diagnostics(self) -> None:
        status: ActorStatus = self._telemetry.current(self.loop, self._pacer)
        stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(diagnostic_array(stamp, self._node.get_name(), self._spec.robot, status))

    def close(self, cause: str, error: BaseException | None = None) -> None:
        """Damps if it commands, and ends all threads and files; `error` is what it ends by, if by one."""
        self._closed = True
        try:
            self.deactivate(cause)
        finally:
            self._stack.__exit__(error and type(error), error, error and error.__traceback__)
