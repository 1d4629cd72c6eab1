import threading
import time

import jax
import msgspec
import numpy as np

from daydreamer.actor.loader import PolicyLoader, warm_up
from daydreamer.policy.policy import Policy, PolicyFunction
from daydreamer.policy.snapshot import SnapshotMetadata, snapshot_path, write_snapshot
from daydreamer.robots.registry import make_task
from daydreamer.session.new import configure

CONFIG = configure(robot="a1", minutes=1.0, seed=0, preset="tiny")
SPEC = make_task(CONFIG).spec
SHAPES = PolicyFunction(SPEC, CONFIG.model).parameter_shapes.acting


def publish(directory, version, spec=SPEC):
    random = np.random.default_rng(version)
    parameters = {name: random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    sizes = msgspec.to_builtins(CONFIG.model)
    metadata = SnapshotMetadata(version=version, gradient_step=1, env_steps=1, robot_spec=spec, model=sizes)
    return write_snapshot(directory, parameters, metadata)


class Rig:
    def __init__(self, directory):
        self.policies = []
        self.events = []
        self.loader = PolicyLoader(
            directory,
            SPEC,
            Policy.load,
            on_policy=self.policies.append,
            on_event=lambda kind, **fields: self.events.append((kind, fields["error"])),
            poll_s=0.01,
        )

    @property
    def versions(self):
        return [policy.version for policy in self.policies]


def test_each_new_policy_is_handed_over_once(tmp_path):
    rig = Rig(tmp_path)
    assert not rig.loader.poll()
    for version in (1, 2):
        publish(tmp_path, version)
        assert rig.loader.poll()
        assert not rig.loader.poll()
    assert rig.versions == [1, 2] and not rig.events


def test_a_damaged_policy_is_reported_once_and_passed_over(tmp_path):
    rig = Rig(tmp_path)
    content = bytearray(publish(tmp_path, 1).read_bytes())
    content[-1] ^= 1
    snapshot_path(tmp_path, 1).write_bytes(content)
    for _ in range(3):
        assert not rig.loader.poll()
    (event,) = rig.events
    assert event[0] == "policy_refused" and "damaged" in event[1]
    publish(tmp_path, 2)
    assert rig.loader.poll() and rig.versions == [2]


def test_a_robot_without_a_policy_yet_takes_the_newest_that_is_undamaged(tmp_path):
    for version in (1, 2, 3, 4):
        publish(tmp_path, version)
    for version in (3, 4):
        path = snapshot_path(tmp_path, version)
        path.write_bytes(path.read_bytes()[:-1])
    rig = Rig(tmp_path)
    assert rig.loader.poll() and rig.versions == [2]
    assert [kind for kind, _ in rig.events] == ["policy_refused"] * 2
    # From now on only newer ones count.
    assert not rig.loader.poll()
    publish(tmp_path, 5)
    assert rig.loader.poll() and rig.versions == [2, 5]


def test_a_damaged_pointer_does_not_keep_a_robot_from_its_policies(tmp_path):
    for version in (1, 2):
        publish(tmp_path, version)
    (tmp_path / "latest").write_bytes(b"\xff000009.safetensors")
    rig = Rig(tmp_path)
    assert rig.loader.poll() and rig.versions == [2]
    assert not rig.loader.poll()
    assert [kind for kind, _ in rig.events] == ["policy_refused"]
    publish(tmp_path, 3)
    assert rig.loader.poll() and rig.versions == [2, 3]


def test_the_policy_of_another_robot_is_refused(tmp_path):
    rig = Rig(tmp_path)
    publish(tmp_path, 1, spec=msgspec.structs.replace(SPEC, robot="b1"))
    assert not rig.loader.poll()
    assert [kind for kind, _ in rig.events] == ["policy_refused"] and not rig.policies


def test_a_vanished_policy_is_reported_once(tmp_path):
    rig = Rig(tmp_path)
    publish(tmp_path, 1).unlink()
    assert not rig.loader.poll() and not rig.loader.poll()
    assert len(rig.events) == 1


def test_the_thread_loads_and_is_gone_after_the_block(tmp_path):
    rig = Rig(tmp_path)
    publish(tmp_path, 1)
    with rig.loader.running():
        end_s = time.monotonic() + 60
        while not rig.policies and time.monotonic() < end_s:
            time.sleep(0.01)
    assert rig.versions == [1]
    assert "policy-loader" not in [thread.name for thread in threading.enumerate()]


def test_after_warming_up_untrained_nothing_is_compiled_for_a_trained_policy(tmp_path, caplog):
    jax.clear_caches()
    with jax.log_compiles():
        warm_up(Policy.untrained(SPEC, CONFIG.model), SPEC)
        assert any("Compiling" in message for message in caplog.messages)
        policy = Policy.load(publish(tmp_path, 1), SPEC)
        caplog.clear()
        warm_up(policy, SPEC)
    assert not [message for message in caplog.messages if "Compiling" in message]
