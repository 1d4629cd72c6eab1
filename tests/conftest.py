"""Recorded sessions for whoever looks at sessions: written by the real writers, from a script of what happened."""

import contextlib
import shutil
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from tensorboardX import SummaryWriter

from daydreamer.experience.log import ExperienceWriter, next_actor_life
from daydreamer.experience.step import Step
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.new import configure
from daydreamer.session.status import StatusWriter
from daydreamer.telemetry.dreams import Dream

START_WALL_S = 1_700_000_000.0
REPORT_S = 10.0


class SessionRecorder:
    """An A1 that gets up and walks, and a learner that keeps up with it; tests say what is to be otherwise."""

    def __init__(self, path, **config):
        self.spec = QuadrupedWalkTask(A1).spec
        self.session = Session.create(
            path, configure(**{"robot": "twin", "minutes": 60.0, "seed": 0} | config), self.spec
        )
        self.events = EventLog(self.session.events)

    def log(self, seconds: float, change: Callable[[Step], None] = lambda step: None) -> None:
        """One more life of the actor; `change` alters each step before it is logged."""
        life = next_actor_life(self.session.experience)
        random = np.random.default_rng(life)
        with ExperienceWriter(self.session.experience, self.spec, life, fsync_period_s=60) as writer:
            for sequence in range(round(seconds * self.spec.control_rate_hz)):
                step = self._step(life, sequence, random)
                change(step)
                writer.append(step)

    def write_metrics(
        self, minutes: float, changes: Mapping[str, Callable[[float], float]] | None = None, begin_minutes: float = 0.0
    ) -> None:
        """Scalars of actor and learner; a change is a function of the share of `minutes` that is over."""
        curves = HEALTHY_METRICS | (changes or {})
        with contextlib.ExitStack() as stack:
            # The names of two event files of the same second would be the same.
            suffix = f".{begin_minutes:g}"
            writers = {
                role: SummaryWriter(str(self.session.metrics / role), filename_suffix=suffix)
                for role in ("actor", "learner")
            }
            for writer in writers.values():
                stack.callback(writer.close)
            for index in range(round(begin_minutes * 60 / REPORT_S) + 1, round(minutes * 60 / REPORT_S) + 1):
                seconds = index * REPORT_S
                for tag, curve in curves.items():
                    role = "actor" if tag.startswith("actor/") else "learner"
                    steps = round(seconds * (self.spec.control_rate_hz if role == "actor" else 5.0))
                    value = curve(seconds / (minutes * 60))
                    writers[role].add_scalar(tag, value, steps, walltime=START_WALL_S + seconds)

    def write_status(self, actor: Mapping = {}, learner: Mapping = {}) -> None:  # noqa: B006
        StatusWriter(self.session, "actor").write(HEALTHY_ACTOR | actor)
        StatusWriter(self.session, "learner").write(HEALTHY_LEARNER | learner)

    def _step(self, life: int, sequence: int, random: np.random.Generator) -> Step:
        time_s = sequence * self.spec.control_period_s
        gait = np.sin(2 * np.pi * 1.5 * time_s + np.arange(12) * np.pi / 2)
        observation = {
            "gravity_up": np.array((0.0, 0.0, 1.0)) + 0.005 * random.standard_normal(3),
            "angular_velocity": 0.1 * random.standard_normal(3),
            "joint_position": 0.2 * gait + 0.002 * random.standard_normal(12),
            "joint_velocity": 0.2 * gait + 0.01 * random.standard_normal(12),
            "joint_target": 0.2 * gait,
            "velocity": 0.1 * random.standard_normal(3),
        }
        sideways_m_s, upwards_m_s = 0.02 * random.standard_normal(2)
        return Step(
            actor_life=life,
            sequence=sequence,
            monotonic_ns=round(time_s * 1e9),
            wall_ns=round((START_WALL_S + time_s) * 1e9),
            observation={key: value.astype(np.float32) for key, value in observation.items()},
            action_requested=np.float32(0.5 * gait),
            action_sent=np.float32(np.tile((0.0, 0.9, -1.8), 4) + 0.2 * gait),
            reward=12.0,
            reward_terms=dict.fromkeys(self.spec.reward_terms, 0.9),
            info=dict(zip(self.spec.info, (0.3, sideways_m_s, upwards_m_s, 1.0, 12.0, 2.0), strict=True)),
            is_first=sequence % self.spec.episode_steps == 0,
            is_last=sequence % self.spec.episode_steps == self.spec.episode_steps - 1,
            is_terminal=False,
            policy_version=1 + sequence // 100,
            intervention=False,
            safety_flags=0,
            latency_s=0.003 + 0.001 * random.random(),
        )


HEALTHY_METRICS: dict[str, Callable[[float], float]] = {
    "actor/reward": lambda share: 5.0 + 7.0 * share,
    "learner/behavior/return": lambda share: 500.0 + 700.0 * share,
    "learner/behavior/randomness": lambda share: 0.2,
    "dream/joint_position/1.0s": lambda share: 0.2 - 0.15 * share,
    "dream/joint_position/2.5s": lambda share: 0.25,
    "dream_unchanged/joint_position/1.0s": lambda share: 0.25,
    "dream_unchanged/joint_position/2.5s": lambda share: 0.25,
}
HEALTHY_ACTOR = {
    "state": "stopped",
    "episodes": 20,
    "control_rate_hz": 20.0,
    "deadline_misses": 1,
    "actor_step_ms": {"p50": 3.0, "p99": 8.0, "max": 20.0},
    "policy_version": 40,
    "policy_age_s": 4.0,
    "safety_events": 0,
    "reward_recent": 12.0,
    "milestones_s": {"upright": 60.0},
}
HEALTHY_LEARNER = {
    "state": "stopped",
    "gradient_steps": 1000,
    "imagined_steps": 1000 * 960,
    "train_ratio": 120.0,
    "replay_steps": 4800,
    "updates_per_s": 4.8,
}


@pytest.fixture
def record_session(tmp_path):
    """Makes a `SessionRecorder`: `record_session(name='session', **config)`."""
    return lambda name="session", **config: SessionRecorder(tmp_path / name, **config)


@pytest.fixture
def make_dream():
    """`make_dream(truth, context_steps, **fields)`: a `Dream` that comes true, with `fields` otherwise."""

    def make(truth, context_steps, **fields):
        steps = len(truth["reward"])
        error = {key: np.full(steps - context_steps, 0.1, np.float32) for key in truth}
        values = {
            "gradient_step": 1,
            "env_steps": steps,
            "actor_life": 1,
            "first_sequence": 0,
            "control_rate_hz": 20.0,
            "context_steps": context_steps,
            "windows": 1,
            "truth": truth,
            "prediction": {key: each[context_steps:] for key, each in truth.items()},
            "action": np.zeros((steps, 12), np.float32),
            "error": error,
            "unchanged_error": {key: 2 * each for key, each in error.items()},
        }
        return Dream(**values | fields)

    return make


@pytest.fixture(scope="session")
def chromium():
    """Path of a Chromium to run headless."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium here; install it with: apt-get install chromium")
