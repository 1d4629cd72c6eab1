"""A small robot with every kind of observation, and steps whose content follows from their number."""

import numpy as np
import pytest
from hypothesis import settings

from daydreamer.experience.step import Step
from daydreamer.spec import RobotSpec, Space

# Files are written in every example and the machine may be busy.
settings.register_profile("files", deadline=None)
settings.load_profile("files")

SPEC = RobotSpec(
    robot="test_arm",
    task="reach",
    control_rate_hz=20.0,
    episode_steps=10,
    joint_names=("shoulder", "elbow", "wrist"),
    foot_names=(),
    observation={
        "vector": Space((5,)),
        "image": Space((4, 4, 3), "uint8"),
        "height": Space(()),
    },
    action=Space((2,), low=-1.0, high=1.0),
    reward_terms=("upright", "velocity"),
    info=("forward_velocity_m_s",),
)


def make_step(sequence: int, actor_life: int = 1) -> Step:
    random = np.random.default_rng((actor_life, sequence))
    return Step(
        actor_life=actor_life,
        sequence=sequence,
        monotonic_ns=50_000_000 * sequence,
        wall_ns=1_700_000_000_000_000_000 + 50_000_000 * sequence,
        observation={
            "vector": random.standard_normal(5).astype(np.float32),
            "image": random.integers(0, 256, (4, 4, 3), np.uint8),
            "height": np.asarray(random.uniform(), np.float32),
        },
        action_requested=random.uniform(-1, 1, 2).astype(np.float32),
        action_sent=np.full(3, np.nan, np.float32) if sequence % 4 == 3 else np.ones(3, np.float32),
        reward=random.standard_normal(),
        reward_terms={"upright": random.uniform(), "velocity": random.uniform()},
        info={"forward_velocity_m_s": random.standard_normal()},
        is_first=sequence % 10 == 0,
        is_last=sequence % 10 == 9,
        is_terminal=False,
        policy_version=sequence // 7,
        intervention=sequence % 5 == 0,
        safety_flags=sequence % 64,
        latency_s=random.uniform(0, 0.01),
    )


def equal(left: Step, right: Step) -> bool:
    """Every field the same, with the same type and shape; NaN equals NaN."""
    for name in Step.__slots__:
        a, b = getattr(left, name), getattr(right, name)
        if isinstance(a, dict) and a.keys() != b.keys():
            return False
        pairs = [(a[key], b[key]) for key in a] if isinstance(a, dict) else [(a, b)]
        for x, y in pairs:
            if np.shape(x) != np.shape(y) or np.asarray(x).dtype != np.asarray(y).dtype:
                return False
            if not np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind == "f"):
                return False
    return True


@pytest.fixture(scope="session")
def spec():
    return SPEC


@pytest.fixture(scope="session", name="make_step")
def make_step_fixture():
    return make_step


@pytest.fixture(scope="session")
def same():
    """Whether two lists of steps are the same."""
    return lambda left, right: len(left) == len(right) and all(map(equal, left, right))
