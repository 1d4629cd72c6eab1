"""How the suite runs, in lanes (docs/testing.md); and recorded sessions for whoever looks at sessions.

The sessions are written by the real writers, from a script of what happened.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from tensorboardX import SummaryWriter

from daydreamer.compilation import quick_flags
from daydreamer.experience.log import ExperienceWriter, next_actor_life
from daydreamer.experience.step import Step
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.new import configure
from daydreamer.session.status import StatusWriter
from daydreamer.telemetry.dreams import Dream

TESTS = Path(__file__).parent
LIVE = (
    # Real processes and a real browser, without an actor. Before the next: the first prefix that fits counts.
    (
        *("ros_nodes/test_check_robot.py", "ros_nodes/test_unitree_nodes.py"),
        *("cli/test_narrator.py", "viewer/test_server.py", "viewer/test_dashboard.py"),
    ),
    # Robots over real ROS 2, one at a time: their processes run in real time where that is permitted, and two of them
    # would leave nothing to their learners. What needs no learner comes first: meanwhile one is compiled.
    (
        *("ros_nodes", "cli/test_play.py", "cli/test_keeper.py", "cli/test_supervise.py", "launch"),
        *("examples/test_cart_live.py", "test_walk.py", "test_full_disk.py", "test_kills.py"),
    ),
)
COMPUTING = (
    # Takes long on both cores, the longest first. What compiles the same programs is one lane.
    ("test_lockstep.py", "benchmarks", "instrument"),
    ("learner", "session/test_formats.py"),
    ("test_conformance.py", "examples"),
    ("behavior",),
    ("cli/test_bench.py",),
    ("models",),
    ("evaluation",),
    ("policy/test_policy.py", "actor/test_loader.py", "actor/test_telemetry.py"),
    ("experience/test_tail.py", "experience/test_codec.py"),
    ("actor/test_rhythm.py", "robots/test_quadruped_reward.py"),
    ("safety/test_properties.py", "safety/test_limiter.py"),
    ("policy/test_snapshot.py", "test_packaging.py"),
    ("cli/test_command_line.py",),
    ("sim",),
    ("labelling",),
    ("test_doctor.py", "test_session_fuzz.py"),
    ("report",),
)
LANES = {
    prefix: (f"{kind} {number}", kind)
    for kind, lanes in (("live", LIVE), ("computing", COMPUTING))
    for number, prefixes in enumerate(lanes, start=1)
    for prefix in prefixes
}
START_LEARNERS = {
    *("test_lockstep.py", "benchmarks/test_learning_curves.py", "launch/test_walk_launch.py"),
    *("test_walk.py", "test_full_disk.py", "test_kills.py"),
}
LEARNER_TIMEOUT_S = 900.0
"""Of a test that starts a learner and says nothing itself: it may wait until the learner has been compiled."""

START_WALL_S = 1_700_000_000.0
REPORT_S = 10.0


def lane_of(within: str) -> tuple[str, str]:
    """Name of the lane of a file of this folder, which one worker runs in order, and the marker of its tests."""
    for prefix, lane in LANES.items():
        if within == prefix or within.startswith(f"{prefix}/"):
            return lane
    return within, "fast"


def pytest_configure(config):
    for marker, meaning in (
        ("live", "real processes over real ROS 2, or a real browser"),
        ("computing", "trains, compiles or simulates for long"),
        ("fast", "all others"),
    ):
        config.addinivalue_line("markers", f"{marker}: {meaning}; by file, see docs/testing.md")
    config.addinivalue_line("markers", "long: only before a release, `pytest -m long`; see docs/testing.md")
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    # For all workers and what they start. Nothing is compiled twice in a run, and a run begins cold, as CI does.
    config.stash[COMPILATIONS] = tempfile.TemporaryDirectory(prefix="daydreamer-compilations-")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", config.stash[COMPILATIONS].name)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    # One LLVM module for each program, and not as many as there might be cores for: a fifth less to compile.
    os.environ.setdefault("XLA_FLAGS", " ".join([*quick_flags(), "--xla_cpu_parallel_codegen_split_count=1"]))
    # Threads of XLA and of NumPy: the lanes share the cores already.
    os.environ.setdefault("NPROC", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Every node waits so long for another one that has its robot. Where a test is about that, it takes the real time.
    os.environ.setdefault("DAYDREAMER_DISCOVERY_S", "0.3")
    # Nothing opens a window, or a browser, on a developer's screen.
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        os.environ.pop(name, None)


COMPILATIONS = pytest.StashKey[tempfile.TemporaryDirectory]()


def pytest_unconfigure(config):
    if compilations := config.stash.get(COMPILATIONS, None):
        compilations.cleanup()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks each test by its lane, and brings the lanes into the order in which workers take them."""
    order = {lane: number for number, (lane, _) in enumerate(dict.fromkeys(LANES.values()))}
    files = {prefix: number for number, prefix in enumerate(LANES)}

    def place(item):
        within = item.path.relative_to(TESTS).as_posix()
        lane = order.get(lane_of(within)[0], len(order))
        return lane, next((files[prefix] for prefix in files if within.startswith(prefix)), len(files))

    for item in items:
        within = item.path.relative_to(TESTS).as_posix()
        kind = lane_of(within)[1]
        item.add_marker("computing" if kind == "fast" and item.get_closest_marker("long") else kind)
        if within in START_LEARNERS:  # a mark of the test's own comes before it
            item.add_marker(pytest.mark.timeout(LEARNER_TIMEOUT_S))
    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores: the live lanes mostly wait."""
    return min(8, len(os.sched_getaffinity(0)) + 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A lane is run by one worker, so that no two tests of it run at a time; each worker takes the next one."""
    from xdist.scheduler import LoadScopeScheduling

    class Lanes(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return lane_of(nodeid.partition("::")[0].removeprefix(f"{TESTS.name}/"))[0]

    config.option.loadscopereorder = False  # not by the number of tests
    return Lanes(config, log)


def pytest_runtest_setup(item):
    """Computing leaves the cores to what is live beside it. Only root can take that back."""
    niceness = 0 if item.get_closest_marker("live") else 15
    with contextlib.suppress(PermissionError):
        if os.environ.get("PYTEST_XDIST_WORKER") and os.getpriority(os.PRIO_PROCESS, 0) != niceness:
            os.setpriority(os.PRIO_PROCESS, 0, niceness)


@pytest.fixture(scope="session")
def lockstep_arguments():
    """Of the training that `learner_compiled` does: a robot that lies has left it to its policy once within it."""
    return ("train", "walk", "--preset", "tiny", "--steps", "400", "--train-ratio", "8", "--seed", "3")


@pytest.fixture(scope="session")
def learner_compiled(tmp_path_factory, lockstep_arguments):
    """A short session in lock-step, trained by one worker for all, whose learner is compiled from then on.

    Its directory, which nobody changes.

    The cache of compiled programs takes from then on what each session would compile for half a minute.
    """
    cache = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / "walk-session"
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = tmp_path_factory.mktemp("compiled") / "session"
            command = [sys.executable, "-m", "daydreamer.cli.main", *lockstep_arguments, "--out", str(made)]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
            assert result.returncode == 0, result.stderr
            shutil.copytree(made, path)
    return path


@pytest.fixture(autouse=True)
def learners_start_compiled(request):
    if request.path.relative_to(TESTS).as_posix() in START_LEARNERS:
        request.getfixturevalue("learner_compiled")


class SessionRecorder:
    """An A1 that gets up and walks, and a learner that keeps up with it; tests say what is to be otherwise."""

    def __init__(self, path, plays=None, **config):
        self.spec = QuadrupedWalkTask(A1).spec
        settings = configure(**{"robot": "a1", "minutes": 60.0, "seed": 0} | config)
        self.session = Session.create(path, settings, self.spec, plays=plays)
        self.events = EventLog(self.session.events)

    def log(self, seconds: float, change: Callable[[Step], None] = lambda step: None) -> None:
        """One more life of the actor; `change` alters each step before it is logged."""
        life = next_actor_life(self.session.experience)
        random = np.random.default_rng(life)
        with ExperienceWriter(self.session.experience, self.spec, life, 60.0, self.session.digest) as writer:
            for sequence in range(round(seconds * self.spec.control_rate_hz)):
                step = self.step(life, sequence, random)
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

    def step(self, life: int, sequence: int, random: np.random.Generator) -> Step:
        """One tick of it."""
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
def signals_are_kept():
    """Nobody else's tests are to end by what a command makes of signals."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run_dream(signals_are_kept, capsys):
    """`run_dream(path, **arguments)`: what `daydreamer dream` tells programs of a second of it, and what it says."""
    from daydreamer.cli.dream import dream

    alone = {"minute": None, "version": "newest", "seconds": 1.0, "speed": "max", "seed": 0, "gamepad": None}
    unseen = {"dashboard": False, "address": "127.0.0.1", "port": None, "open_browser": False, "as_json": True}

    def run(path, **arguments):
        dream(path, **alone | unseen | arguments)
        output = capsys.readouterr()
        return json.loads(output.out), output.err

    return run


class Pad:
    """A gamepad that says what it is told to."""

    def __init__(self):
        self.messages = []

    def hear(self, seconds):
        messages, self.messages = self.messages, []
        return messages


@pytest.fixture
def pad():
    return Pad()


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


@pytest.fixture
def print_recording():
    """`print_recording(path, *arguments)`: what Rerun itself says is in a recording."""
    from daydreamer.viewer.rerun_files import executable

    def read(path, *arguments):
        command = [executable(), "rrd", "print", *arguments, path]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=150).stdout

    return read
