"""Real nodes in real processes, and a node of the test's own that talks to them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import LogTail
from daydreamer.session.events import read_events
from daydreamer.session.new import configure, new_session
from daydreamer.session.status import read_status

TIMEOUT_S = 150.0
LOOK_PERIOD_S = 0.05


class Rig:
    """A session in a ROS domain of its own."""

    def __init__(self, directory, domain, overrides=(), discovery_s=None, robot="a1", body="twin"):
        # Here, so that the test modules can skip themselves where there is no ROS.
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        from ros_nodes import topics

        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self.directory = directory
        self.domain = domain
        self._discovery = {} if discovery_s is None else {"DAYDREAMER_DISCOVERY_S": str(discovery_s)}
        config = configure(robot=robot, body=body, minutes=60.0, seed=0, preset="tiny", overrides=overrides)
        self.session = new_session(directory / "session", config)
        self.processes = []
        self._read = {}
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("test", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.commands = []
        self.node.create_subscription(topics.JointState, topics.JOINT_COMMAND, self.commands.append, 100)

    @property
    def environment(self):
        own = {"ROS_DOMAIN_ID": str(self.domain), "ROS_LOG_DIR": str(self.directory / "ros_log")}
        return os.environ | own | self._discovery

    def start(self, name, *arguments):
        """Starts 'actor' or 'twin'; its output goes to <name>.log."""
        command = [sys.executable, "-m", f"ros_nodes.{name}_node", "--session", str(self.session.path), *arguments]
        with open(self.directory / f"{name}.log", "ab") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def output(self, name):
        return (self.directory / f"{name}.log").read_text()

    def until(self, condition):
        """Spins until `condition()` holds, which often reads files: so it is not asked after every message."""
        end_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < end_s, "timed out"
            self.spin(LOOK_PERIOD_S)

    def spin(self, seconds):
        """Takes what messages come in this time."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            self.executor.spin_once(timeout_sec=left_s)

    def until_exit(self, process):
        """Exit status."""
        self.until(lambda: process.poll() is not None)
        # What it sent last may still be on its way.
        for _ in range(10):
            self.executor.spin_once(timeout_sec=0.02)
        return process.returncode

    def steps(self, life=1):
        """What is logged so far; each step is read once, however often one looks."""
        if life not in self._read:
            logs = list_logs(self.session.experience)
            if life not in logs:
                return []
            self._read[life] = LogTail(logs[life], self.session.spec), []
        tail, steps = self._read[life]
        steps += tail.read()
        return list(steps)

    def gaps(self):
        """Steps that begin an episode without a stop before it that has been told; the first step needs none.

        On a busy machine a state may grow old in any test. That is told, and ends the episode.
        """
        begun = [step.wall_ns / 1e9 for step in self.steps()[1:] if step.is_first]
        events = read_events(self.session.events)
        stops = [
            event["wall_s"] for event in events if event["kind"] == "safety_state" and event["before"] == "running"
        ]
        return [wall_s for number, wall_s in enumerate(begun) if number >= len(stops) or stops[number] > wall_s]

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()


class Operator:
    """Asks the actor of a rig, as an operator's tools would."""

    def __init__(self, rig):
        from diagnostic_msgs.msg import DiagnosticArray
        from std_msgs.msg import Bool

        from ros_nodes import topics

        self.rig = rig
        self.diagnostics = []
        rig.node.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 10)
        self.e_stop = rig.node.create_publisher(Bool, "e_stop", topics.LATCHED)
        self._clients = {}

    def call(self, service_type, name, request):
        if name not in self._clients:
            self._clients[name] = self.rig.node.create_client(service_type, f"/actor/{name}")
        client = self._clients[name]
        self.rig.until(client.service_is_ready)
        future = client.call_async(request)
        self.rig.until(future.done)
        return future.result()

    def ask(self, name):
        return self.reply(name).success

    def reply(self, name):
        from std_srvs.srv import Trigger

        return self.call(Trigger, name, Trigger.Request())

    def transition(self, number):
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request(transition=Transition(id=number))
        return self.call(ChangeState, "change_state", request).success

    def state(self):
        return read_status(self.rig.session)["safety_state"]

    def until_notice(self, words):
        self.rig.until(lambda: any(words in notice for notice in read_status(self.rig.session)["notices"]))

    def until_state(self, state):
        self.rig.until(lambda: self.state() == state)

    def reported(self, entry, key):
        for status in reversed(self.diagnostics[-1].status if self.diagnostics else []):
            if status.name == f"actor: {entry}":
                return next(value.value for value in status.values if value.key == key)
        return None


def is_damping(command):
    """Whether a joint command message takes the torque off."""
    return not command.position and list(command.velocity) == [0.0] * 12


@pytest.fixture
def damping():
    return is_damping


@pytest.fixture
def make_operator():
    return Operator


@pytest.fixture
def make_rig(tmp_path):
    rigs = []

    def make(domain, overrides=(), discovery_s=None, robot="a1", body="twin"):
        rigs.append(Rig(tmp_path, domain, overrides, discovery_s, robot, body))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
