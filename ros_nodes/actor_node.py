"""The actor as a lifecycle node: at every tick it answers the newest state of the robot with a command.

Configuring loads the policy; an inactive node observes and commands nothing; activating ramps from the measured pose;
deactivating damps. With the parameter `autostart` (the default) it configures itself, and activates itself if its robot
is the twin. A robot waits for its operator, whatever parameters say: for the service ~/resume, or a transition. A
software stop is not a hardware stop: have the robot's own emergency stop at hand.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from daydreamer.scheduling import ROBOT_NICENESS, be_nice

if __name__ == "__main__":
    be_nice(ROBOT_NICENESS)
    # See daydreamer.learner.process: an interrupt must not be lost while libraries load.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# The actor belongs on the CPU, next to the robot, whatever device the learner has. NPROC is what XLA sizes its
# thread pool by; at batch size 1 a second thread gains nothing and takes a core from the learner.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["NPROC"] = "1"

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from daydreamer.compilation import keep_compilations
from daydreamer.contract.task import Task
from daydreamer.periodic import Schedule
from daydreamer.policy.planning import run_side_by_side
from daydreamer.robots.registry import make_task
from daydreamer.session.directory import Session
from daydreamer.session.progress import total_steps
from daydreamer.session.status import ActorStatus, StatusWriter
from daydreamer.stop_request import StopRequest, run_process
from ros_nodes import parameters, runtime
from ros_nodes.live_actor import LiveActor

IDLE_S = 0.1
LOOK_S = 0.2
"""Between two looks at whether the session's twin is there, which ask the graph."""


class ActorNode(LifecycleNode):
    """Life cycle around a `LiveActor`.

    Attributes:
      actor: exists between configuring and cleaning up.
    """

    def __init__(self, session: Session, task: Task, stop: StopRequest, reads_operator: bool, waits: bool):
        """Unconfigured.

        Args:
          reads_operator: requests of an operator also come on standard input.
          waits: it never activates itself.

        Raises:
          UserError: a parameter cannot be used.
        """
        super().__init__("actor")
        self.actor: LiveActor | None = None
        self._session, self._task, self._stop = session, task, stop
        self._reads_operator = reads_operator
        self._waits = waits
        self._settings = parameters.declare(self, task.embodiment.setpoint_kind, len(task.spec.foot_names))
        self._error: Exception | None = None
        self._by_itself = False

    def run(self, spinner: runtime.Spinner, steps_in_all: int) -> None:
        """Until `steps_in_all` of the session are logged, a stop is requested, or the node is shut down.

        Raises:
          Exception: whatever made a transition fail, if nobody but this process asked for it.
        """
        if self._settings.autostart:
            self._start_up(self.trigger_configure)
        else:
            name = self.get_fully_qualified_name()
            waits = f"waits for you: ros2 lifecycle set {name} configure, then ros2 lifecycle set {name} activate"
            print(f"The actor {waits}. Have the robot's own emergency stop in hand.", flush=True)
            StatusWriter(self._session, "actor").attempt(ActorStatus(state="waiting", notices=[waits]))
        starting, look = self._settings.autostart and not self._waits, Schedule(LOOK_S, at_once=True)
        try:
            while not self._stop and not self._finished(steps_in_all):
                if self.actor is None:
                    spinner.once(IDLE_S)
                    continue
                if starting and look.due() and self.actor.ready and self.actor.is_its_twin():
                    starting = False
                    self._start_up(self.trigger_activate)
                self.actor.tick(spinner)
        except Exception as error:
            self._close("fault", error)
            raise
        self._close(self._stop.reason or "complete")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            # Where somebody else leads the life cycle, an operator's resume does not.
            set_out = self._set_out if self._settings.autostart else None
            self.actor = LiveActor(self, self._session, self._task, self._settings, self._stop, set_out)
        except Exception as error:
            # rclpy would drop it.
            return self._fail("configured", error)
        if self._reads_operator:
            self.actor.read_operator()
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        if not self.actor.activate(self._by_itself):
            silent = ", ".join(self.actor.silent_topics())
            reason = f"Nothing has arrived on {silent}." if silent else self.actor.loop.supervisor.refusal
            self.get_logger().error(f"The actor cannot be activated. {reason}")
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.actor.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._close("cleaned up")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._close("shut down")

    def _set_out(self) -> bool:
        return self.trigger_activate() is TransitionCallbackReturn.SUCCESS

    def _start_up(self, transition) -> None:
        self._by_itself = True
        failed = transition() is not TransitionCallbackReturn.SUCCESS
        self._by_itself = False
        if failed and self._error is not None:
            raise self._error

    def _fail(self, what: str, error: Exception) -> TransitionCallbackReturn:
        self._error = error
        self.get_logger().error(f"The actor cannot be {what}: {error}")
        return TransitionCallbackReturn.FAILURE

    def _close(self, cause: str, error: Exception | None = None) -> TransitionCallbackReturn:
        actor, self.actor = self.actor, None
        if actor is not None:
            actor.close(cause, error)
        return TransitionCallbackReturn.SUCCESS

    def _finished(self, steps_in_all: int) -> bool:
        if self.actor is not None:
            return self.actor.loop.statistics.env_steps >= steps_in_all
        return self._state_machine.current_state[1] == "finalized"


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    parser = argparse.ArgumentParser(prog="actor_node", description=__doc__)
    parser.add_argument("--minutes", type=float, help="robot time of the whole session; default: as configured")
    parser.add_argument(
        "--operator-input", action="store_true", help="requests of an operator come as lines on standard input"
    )
    parser.add_argument("--wait", action="store_true", help="wait for an operator before setting out, with a twin too")
    options = runtime.parse_arguments(parser, arguments)
    keep_compilations()
    session = Session.open(options.session)
    task = make_task(session.config, session.record.robot_package)
    session.require_spec(task.spec)
    if session.config.actor.plan.samples:
        run_side_by_side()
    steps_in_all = total_steps(session, options.minutes)

    def make() -> ActorNode:
        return ActorNode(
            session, task, stop, options.operator_input, waits=options.wait or session.config.body != "twin"
        )

    with session.lock("actor"), runtime.ros_node(make, arguments) as node, runtime.Spinner(node) as spinner:
        node.run(spinner, steps_in_all)
    return 0


if __name__ == "__main__":
    sys.exit(run_process(main))
