"""By what an operator steers over ROS 2: a gamepad, as `daydreamer demonstrate` hears it, and keys of a live arm."""

import os
import subprocess
import sys
import time
from unittest.mock import MagicMock

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from daydreamer.actor.gamepad import LAYOUTS
from daydreamer.actor.operator import OperatorRequest, Reply
from daydreamer.actor.steering import STEERING
from daydreamer.cli.hands import open_gamepad, open_hand
from daydreamer.cli.supervise import SessionSupervisor
from daydreamer.config import SessionConfig
from daydreamer.demonstration.by_hand import HandRequest
from daydreamer.errors import UserError
from daydreamer.periodic import periodically
from daydreamer.robots.arm.cells import BACK, FORWARD, GRIP
from daydreamer.robots.so101.pick_place_fine import PickPlaceFine
from daydreamer.session.new import configure, new_session
from ros_nodes import gamepad, runtime
from ros_nodes.operator_input import KEYBOARD, OperatorInput, untaken

DOMAIN = 50
REACH = "ROS_AUTOMATIC_DISCOVERY_RANGE"


class Pads:
    """Gamepads of this test, each a node, which say 20 times a second what they are told to."""

    def __init__(self, context):
        self._context = context
        self._publishers = []
        self.nodes = []
        self.message = Joy(axes=[0.0] * 8, buttons=[0] * 11)

    def add(self):
        self.nodes.append(rclpy.create_node(f"joy_{len(self.nodes) + 1}", context=self._context))
        self._publishers.append(self.nodes[-1].create_publisher(Joy, "joy", 10))

    def publish(self):
        for publisher in self._publishers:
            publisher.publish(self.message)


@pytest.fixture
def pads(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    monkeypatch.setenv(REACH, "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    pads = Pads(context)
    with periodically(pads.publish, 0.05, "pads"):
        yield pads
    for node in pads.nodes:
        node.destroy_node()
    context.shutdown()


def test_what_a_gamepad_says_drives_and_who_cannot_drive_is_told(pads, monkeypatch):
    task, said = PickPlaceFine(seed=0), []

    def drive_by(layout):
        return open_hand("gamepad", layout, task, SessionConfig(), said.append)

    reaches = []
    monkeypatch.setattr(gamepad, "Node", lambda name: reaches.append(os.environ[REACH]) or Node(name))
    monkeypatch.setattr(gamepad, "PATIENCE_S", 0.3)
    monkeypatch.setenv(REACH, "SYSTEM_DEFAULT")
    with pytest.raises(UserError, match=f"No gamepad is heard on /joy; plug .* start '{REACH}=LOCALHOST ros2 run"):
        with drive_by("xbox"):
            pass
    monkeypatch.setattr(gamepad, "PATIENCE_S", 5.0)
    monkeypatch.setenv(REACH, "LOCALHOST")
    pads.add()
    with pytest.raises(UserError, match="has 8 axes and 11 buttons, fewer than the layout 'game_controller' is of"):
        with drive_by("game_controller"):
            pass
    with drive_by("xbox") as hand:
        # As far as joy_node may; whatever comes after stays on this machine.
        assert reaches == ["SYSTEM_DEFAULT", "SUBNET", "SUBNET"]
        assert os.environ[REACH] == "LOCALHOST" and "ROS_STATIC_PEERS" not in os.environ
        assert "Hold LB to drive" in said[-1] and hand.action() is None
        pads.message = Joy(axes=[0.0, 1.0] + [0.0] * 6, buttons=[0, 1, 0, 0, 1] + [0] * 6)
        end_s, asked = time.monotonic() + 30.0, []
        while hand.action() is None:
            assert time.monotonic() < end_s
            hand.wait(0.1)
            asked += hand.requests()
        assert hand.action().tolist() == [1.0, 0.0, 0.0, 0.0, 0.0] and asked == [HandRequest.DISCARD]
        pads.message = Joy(axes=[0.0, -1.0] + [0.0] * 6, buttons=[0, 0, 0, 0, 1] + [0] * 6)
        while hand.action()[0] > 0.0:  # a twin that is slower than real time leaves no time to wait
            assert time.monotonic() < end_s
            time.sleep(0.05)
            hand.wait(0.0)
    pads.add()
    with pytest.raises(UserError, match="2 gamepads on /joy: .*; stop all but one"):
        while True:  # until the second one is discovered
            assert time.monotonic() < end_s
            with drive_by("xbox"):
                pass


def test_a_dream_is_driven_by_what_a_gamepad_says(pads, learner_compiled, run_dream):
    pads.add()
    pads.message = Joy(axes=[0.0, 1.0] + [0.0] * 6, buttons=[0, 0, 0, 0, 1] + [0] * 6)
    told, said = run_dream(learner_compiled, speed="real", gamepad="xbox")
    assert told["operated"] > 0.0
    assert "the policy drives while LB is let go. A = branch (what if), B = rewind" in said
    pads.nodes[0].create_subscription(Joy, "joy", lambda message: None, 10)
    end_s = time.monotonic() + 30.0
    with pytest.raises(UserError, match="says is also heard by /joy_1, which it might drive; stop that, on which"):
        while time.monotonic() < end_s:  # until it is discovered
            with open_gamepad("xbox", PickPlaceFine(seed=0), "dream"):
                pass


def test_a_key_that_is_typed_at_walk_is_a_key_to_the_actor(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    session = new_session(tmp_path / "session", configure(robot="so101", minutes=1.0, seed=0, preset="tiny"))
    walk, heard, asked = SessionSupervisor(session, 1.0, stop=None), [], []
    between = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    walk._children[0]._process = between  # in the actor's place: what it is told is read below
    with between, runtime.ros_node(lambda: Node("actor"), []) as node, runtime.Spinner(node) as spinner:

        def request(wanted, source):
            asked.append((wanted, source))
            return Reply(True, "")

        actor = OperatorInput(node, None, request, heard.append, LAYOUTS["xbox"])
        with actor.reading(between.stdout):
            for key in STEERING:
                walk._on_steer(key)
            walk._on_request(OperatorRequest.PAUSE)
            end_s = time.monotonic() + 30.0
            while not asked:
                assert time.monotonic() < end_s
                spinner.once(0.1)
        between.stdin.close()
    assert heard == list(STEERING) and asked == [(OperatorRequest.PAUSE, KEYBOARD)]


@pytest.mark.parametrize("publishers", [1, 2])
def test_where_nobody_knows_who_speaks_one_of_several_lets_go_of_no_stop(publishers):
    """As in distributions before Kilted, whose messages come without their publisher."""
    node, operators = MagicMock(), MagicMock()
    node.count_publishers.return_value = publishers
    actor = OperatorInput(node, operators, None, None, LAYOUTS["xbox"])
    for held in (True, False):
        actor._on_emergency_stop(Bool(data=held), {})
    held = [call.args[1] for call in operators.stop_held.call_args_list]
    assert held == ([True, False] if publishers == 1 else [True])


@pytest.mark.long  # actor/test_operator.py and robots/test_so101_task.py guard the same, without processes
def test_an_operator_intervenes_in_a_live_arm_by_keys(make_rig):
    rig = make_rig(51, ["actor.random_s=0.5", "twin.command_timeout_s=10"], robot="so101")
    rig.start("twin")
    actor = subprocess.Popen(
        [sys.executable, "-m", "ros_nodes.actor_node", "--session", str(rig.session.path), "--operator-input"],
        env=rig.environment,
        stdin=subprocess.PIPE,
        text=True,
    )
    rig.processes.append(actor)

    def type_lines(*lines):
        actor.stdin.write("".join(f"{line}\n" for line in lines))
        actor.stdin.flush()

    rig.until(lambda: len(rig.steps()) >= 3)
    type_lines("steer left", "intervene")  # before it, a key means nothing
    rig.until(lambda: sum(step.intervention for step in rig.steps()) >= 4)
    type_lines("steer left")
    rig.until(lambda: any(step.action_requested == GRIP for step in rig.steps() if step.intervention))
    type_lines("intervene")
    rig.until(lambda: not rig.steps()[-1].intervention)
    shown = [step for step in rig.steps() if step.intervention]
    assert sum(step.action_requested == GRIP for step in shown) == 1
    assert {int(step.action_requested) for step in shown} <= {FORWARD, BACK, GRIP}
    # Where nothing was asked for the arm stayed.
    tools = np.array([step.observation["tool"] for step in shown[1:]])
    assert np.ptp(tools, axis=0).max() < 0.2


def test_no_two_who_speak_have_one_name_though_others_between_them_have_gone():
    """Else one of them lets go of an emergency stop that another holds."""
    taken = {"/joy from /pad"}
    for _ in range(2):
        taken.add(untaken("/e_stop from /panel", taken))
    taken.remove("/joy from /pad")
    assert untaken("/e_stop from /panel", taken) == "/e_stop from /panel (3)" and len(taken) == 2
