"""Two robots that are no quadrupeds, recorded by the real writers; they are installed nowhere."""

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.experience.log import ExperienceWriter, next_actor_life
from daydreamer.experience.schema import action_sent_shape
from daydreamer.experience.step import Step
from daydreamer.presentation import Figure, Level, Milestone, Occurrence, Presentation
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.spec import RobotSpec, Space

START_WALL_S = 1_700_000_000.0

ROVER = RobotSpec(
    robot="rover",
    task="explore",
    control_rate_hz=5.0,
    episode_steps=100,
    joint_names=(),
    foot_names=(),
    observation={"camera": Space((24, 32, 3), "uint8", 0, 255)},
    action=Space((2,), low=-1.0, high=1.0),
    reward_terms=(),
    info=("forward_velocity_m_s", "lateral_velocity_m_s", "bumps"),
)
"""On wheels, with a camera and nothing else."""

ROVER_PRESENTATION = Presentation(
    milestones=(
        Milestone(
            name="cruising",
            did="cruised",
            does="cruises",
            quantity="info/forward_velocity_m_s",
            at_least=0.5,
            hold_s=10.0,
            mean_s=2.0,
        ),
    ),
    figures=(
        Figure(quantity="info/forward_velocity_m_s", name="speed", unit="m/s", did="drove at", decimals=1),
        Figure(quantity="info/bumps", name="bumper force", unit="N", decimals=0, level=Level(value=5.0, words="bump")),
    ),
    occurrences=(Occurrence(did="bumped into something", quantity="info/bumps", start=1.0, to=5.0),),
)

ARM = RobotSpec(
    robot="picker",
    task="sort",
    control_rate_hz=2.0,
    episode_steps=50,
    joint_names=("base_joint", "elbow_joint", "wrist_joint"),
    foot_names=(),
    observation={
        "wrist_camera": Space((16, 16, 4), "uint8", 0, 255),
        "joint_position": Space((3,), low=-1.0, high=1.0),
        "gripper": Space((), classes=2),
        "bin": Space((2,)),
    },
    action=Space((), classes=7),
    reward_terms=("grasped", "sorted", "haste"),
    info=("success_rate",),
)
"""With moves to choose from, paid for each thing that it sorts and for nothing else."""

ARM_PRESENTATION = Presentation(
    reward_range=(0.0, 1.0),
    milestones=tuple(
        Milestone(name=f"bin {number}", did=f"filled bin {number}", quantity="reward", at_least=number, hold_s=0.0)
        for number in range(1, 8)
    ),
    figures=(
        Figure(quantity="info/success_rate", name="success", unit="%", decimals=0, plot_range=(0.0, 100.0)),
        Figure(quantity="reward_terms/grasped", name="grasps"),
        Figure(quantity="info/never_logged", name="never"),
    ),
    may_be_constant=("bin",),
)


class ToyRecorder:
    """A robot that acts at random, and the session in which it does."""

    def __init__(self, path, spec, presentation, config=SessionConfig()):
        self.spec = spec
        self.session = Session.create(path, config, spec, presentation)
        self.events = EventLog(self.session.events)

    def log(self, seconds, change=lambda step: None):
        life = next_actor_life(self.session.experience)
        random = np.random.default_rng(life)
        with ExperienceWriter(self.session.experience, self.spec, life, 60.0, self.session.digest) as writer:
            for sequence in range(round(seconds * self.spec.control_rate_hz)):
                step = self.step(life, sequence, random)
                change(step)
                writer.append(step)

    def step(self, life, sequence, random):
        time_s = sequence * self.spec.control_period_s
        action = _draw(self.spec.action, random)
        sent = action_sent_shape(self.spec)
        return Step(
            actor_life=life,
            sequence=sequence,
            monotonic_ns=round(time_s * 1e9),
            wall_ns=round((START_WALL_S + time_s) * 1e9),
            observation={key: _draw(space, random) for key, space in self.spec.observation.items()},
            action_requested=action,
            action_sent=np.float32(random.uniform(-1, 1, sent)),
            reward=0.0,
            reward_terms=dict.fromkeys(self.spec.reward_terms, 0.0),
            info=dict.fromkeys(self.spec.info, 0.0),
            is_first=sequence % self.spec.episode_steps == 0,
            is_last=sequence % self.spec.episode_steps == self.spec.episode_steps - 1,
            is_terminal=False,
            policy_version=1,
            intervention=False,
            safety_flags=0,
            latency_s=0.003,
        )


def _draw(space, random):
    if space.is_discrete:
        return np.asarray(random.integers(space.classes, size=space.shape), np.int32)
    if space.is_image:
        return random.integers(256, size=space.shape).astype(np.uint8)
    return np.float32(random.uniform(-1.0, 1.0, space.shape))
