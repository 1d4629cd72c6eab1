"""Sessions of robots that are no quadrupeds, and are installed nowhere, from evidence to what people read and see."""

import contextlib
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tensorboardX import SummaryWriter

pytest.importorskip("rerun")

from daydreamer.cli.compare import compare
from daydreamer.cli.progress import LiveView, describe, summarise
from daydreamer.cli.status import show_status
from daydreamer.presentation import Presentation
from daydreamer.report.history import read_history
from daydreamer.report.page import write_report
from daydreamer.report.verdict import judge_session
from daydreamer.session.directory import Session
from daydreamer.session.status import StatusWriter, read_status
from daydreamer.telemetry.advice import judge
from daydreamer.telemetry.dreams import DreamWriter
from daydreamer.telemetry.session_telemetry import TelemetryReader
from daydreamer.viewer.cards import banner
from daydreamer.viewer.dashboard import Dashboard
from daydreamer.viewer.layout import figure_path

sys.path.append(str(Path(__file__).parent))
from toy_robots import ARM, ARM_PRESENTATION, ROVER, ROVER_PRESENTATION, START_WALL_S, ToyRecorder

OF_QUADRUPEDS = re.compile(
    r"\b(walk(s|ed|ing)?|upright|stand(s|ing)?|stood|fell|fallen|feet|foot|leg|trunk|back)\b", re.I
)
SECONDS = 60.0


@pytest.fixture
def rover(tmp_path):
    return ToyRecorder(tmp_path / "rover", ROVER, ROVER_PRESENTATION)


@pytest.fixture
def arm(tmp_path):
    return ToyRecorder(tmp_path / "arm", ARM, ARM_PRESENTATION)


def write_metrics(recorder, minutes=20.0, **changes):
    """Of an actor that earns nothing and a learner whose model predicts well."""
    curves = {"actor/reward": lambda share: 0.0, "learner/behavior/return": lambda share: 1.0}
    curves |= {"learner/behavior/randomness": lambda share: 0.2}
    for key in recorder.spec.observation:
        curves |= {f"dream/{key}/1s": lambda share: 0.1, f"dream_unchanged/{key}/1s": lambda share: 0.2}
    curves |= {f"truth/{name}": lambda share: share for name in recorder.spec.info}
    curves |= changes
    with contextlib.closing(SummaryWriter(str(recorder.session.metrics / "actor"))) as writer:
        for index in range(1, round(minutes * 6) + 1):
            for tag, curve in curves.items():
                step = round(10.0 * index * recorder.spec.control_rate_hz)
                writer.add_scalar(tag, curve(index / (6 * minutes)), step, walltime=START_WALL_S + 10.0 * index)


def write_status(recorder, **actor):
    values = {"state": "running", "reward_recent": 0.25, "policy_version": 3, "milestones_s": {}} | actor
    figures = {figure.quantity: 0.5 for figure in recorder.session.presentation.figures[:2]}
    StatusWriter(recorder.session, "actor").write({"figures_recent": figures} | values)
    StatusWriter(recorder.session, "learner").write({"state": "running", "gradient_steps": 5, "train_ratio": 120.0})


def write_dream(recorder, make_dream):
    spec, context = recorder.spec, 4
    random = np.random.default_rng(0)
    truth = {key: np.stack([space.zeros() for _ in range(12)]) for key, space in spec.observation.items()}
    truth |= {"reward": random.standard_normal(12).astype(np.float32)}
    action = np.stack([spec.action.zeros() for _ in range(12)])
    dream = make_dream(truth, context, control_rate_hz=spec.control_rate_hz, first_sequence=20, action=action)
    DreamWriter(recorder.session.dreams).write(dream)


def advice(recorder):
    return {each.rule: each for each in judge(TelemetryReader(recorder.session).read())}


def verdict(recorder):
    return judge_session(read_history(recorder.session))


def panel(session):
    output = io.StringIO()
    Console(file=output, width=110).print(LiveView(session, 60.0).render(read_status(session), None))
    return output.getvalue()


@pytest.mark.parametrize(
    "spec, presentation",
    [
        (ROVER, ROVER_PRESENTATION),
        (ROVER, Presentation()),
        (ARM, ARM_PRESENTATION),
        (ARM, Presentation()),
    ],
    ids=["rover", "rover without a presentation", "arm", "arm without a presentation"],
)
def test_everything_that_looks_at_a_session_tells_its_own_story(
    tmp_path, spec, presentation, make_dream, print_recording, capsys
):
    recorders = [ToyRecorder(tmp_path / name, spec, presentation) for name in "ab"]
    for recorder in recorders:
        recorder.log(SECONDS)
        write_metrics(recorder)
        write_status(recorder, milestones_s={name: 12.0 for name in presentation.milestone_names[:1]})
        write_dream(recorder, make_dream)
    session = Session.open(recorders[0].session.path)
    assert session.presentation == presentation and advice(recorders[0]) == {}

    show_status(session.path, as_json=False)
    status = read_status(session)
    told = [capsys.readouterr().out, describe(status, session, 60.0), panel(session), *summarise(status)]
    path, judged = write_report(session)
    page = re.sub('data:image[^"]+|<style>.*?</style>|<details>.*</details>', "", path.read_text(), flags=re.S)
    told += [page, *judged.learned, *judged.wrong, *judged.advice]
    assert {"learning-curve.png", "dream-against-reality.png", "report.html"} <= {
        x.name for x in session.report.iterdir()
    }

    compare([recorder.session.path for recorder in recorders], tmp_path / "both.png", as_json=False)
    told.append(capsys.readouterr().out)
    text = "\n".join(told).replace(str(tmp_path), "")
    assert not OF_QUADRUPEDS.search(text), OF_QUADRUPEDS.search(text)
    for figure in presentation.figures[:2]:
        assert f"{figure.number(0.5)} {figure.label}" in text

    dashboard = Dashboard(session, 60.0, tmp_path / "session.rrd")
    while dashboard.update():
        pass
    dashboard.close()
    drawn = print_recording(tmp_path / "session.rrd", "-vvv")
    cameras = [key for key, space in spec.observation.items() if space.is_image]
    vectors = [key for key in spec.observation if key not in cameras]
    paths = ["/banner", "/learning/reward", "/dream/error/ratio", *(f"/robot/camera/{key}" for key in cameras)]
    paths += [f"/dream/camera/{key}/prediction" for key in cameras]
    paths += [f"/dream/signals/{key}/1/reality" for key in vectors]
    paths += [f"/{figure_path(figure)}" for figure in presentation.figures[:2]]
    assert [path for path in paths if path not in drawn] == []
    assert ("/learning/terms" in drawn) == bool(spec.reward_terms) and "/robot/now" not in drawn


def test_a_rover_is_judged_by_its_own_milestone_figures_and_occurrences(rover):
    def drive(step):
        step.info |= {"forward_velocity_m_s": 0.62, "bumps": 8.0 if step.sequence % 150 > 140 else 0.1}

    rover.log(SECONDS, drive)
    write_status(rover)
    told = verdict(rover)
    assert told.learned[0] == "In 1.0 robot minutes the robot has not yet cruised for long."
    assert "In the last 0.5 minutes it drove at 0.6 m/s on average." in told.learned
    assert "In the last 0.5 minutes the bumper force was 1 N on average." in told.learned
    assert "It bumped into something 2 times, last at minute 1.0." in told.wrong
    write_status(rover, milestones_s={"cruising": 30.0})
    told = verdict(rover)
    assert told.learned[0] == "The robot cruised after 0.5 of 1.0 robot minutes."
    assert told.advice[0].startswith("It cruises: repeat it")


def test_an_arm_is_judged_by_its_own(arm):
    arm.log(SECONDS)
    write_status(arm)
    assert verdict(arm).learned[0] == "In 1.0 robot minutes the robot has not yet filled bin 1."
    write_status(arm, milestones_s={f"bin {number}": 10.0 * number for number in range(1, 8)})
    told = verdict(arm)
    assert "filled bin 6 after 1.0 and filled bin 7 after 1.2 of" in told.learned[0]
    assert told.advice[0].startswith("It has reached 'bin 7': repeat it")
    assert "never" not in " ".join(told.learned)  # a figure that no step has is nowhere


def test_odometry_of_wheels_that_turn_is_no_drift(rover):
    rover.log(SECONDS, lambda step: step.info.update(forward_velocity_m_s=0.6, lateral_velocity_m_s=0.0))
    assert advice(rover) == {}


def test_a_camera_that_stands_still_is_noticed_and_a_switch_that_does_is_not(rover, arm):
    rover.log(SECONDS, lambda step: step.observation["camera"].fill(7))
    assert "camera has not changed" in advice(rover)["sensor_constant"].finding

    def hold(step):
        step.observation["gripper"] = np.int32(1)
        step.observation["bin"][:] = 0.5

    arm.log(SECONDS, hold)
    assert advice(arm) == {}
    arm.log(SECONDS, lambda step: step.observation["joint_position"].__setitem__(1, 0.25))
    assert advice(arm)["sensor_constant"].finding.startswith("joint_position of elbow_joint has not changed")


def test_moves_to_choose_from_are_never_saturated(arm):
    arm.log(SECONDS, lambda step: setattr(step, "action_requested", np.int32(6 * (step.sequence % 2))))
    assert advice(arm) == {}


@pytest.mark.parametrize("promised, diverging", [(1.0, False), (500.0, True)])
def test_a_critic_that_nothing_has_been_paid_to_yet_may_hope_for_a_little(arm, promised, diverging):
    arm.log(SECONDS)
    write_metrics(arm, **{"learner/behavior/return": lambda share: promised})
    write_status(arm)
    assert ("critic_diverging" in advice(arm)) is diverging


def test_a_flat_reward_is_cured_by_what_the_robot_has(arm):
    arm.log(SECONDS)
    write_metrics(
        arm, **{"actor/reward": lambda share: min(4 * share, 0.5), "learner/behavior/return": lambda share: 50.0}
    )
    write_status(arm)
    flat = advice(arm)["reward_flat"]
    assert "learner.entropy_target" in flat.cure and "fallen_reward" not in flat.cure
    write_status(arm, milestones_s={"bin 7": 60.0})
    assert advice(arm) == {}


def test_the_banner_has_room_for_two_figures_and_five_milestones(arm):
    write_status(arm)
    status, presentation = read_status(arm.session), arm.session.presentation

    def shown(**change):
        picture = Image.open(io.BytesIO(banner(status | change, presentation, 60.0)))
        return np.asarray(picture.convert("L")).astype(int)

    def changed_columns(one, other):
        (columns,) = np.nonzero((np.abs(one - other) > 60).any(axis=0))  # more than another palette makes of it
        return columns

    plain = shown()
    columns = changed_columns(plain, shown(figures_recent={quantity: 77.0 for quantity in status["figures_recent"]}))
    assert columns.min() > 1000 and columns.max() < 1560 and columns.max() - columns.min() > 200
    # Of seven milestones those are shown that are next.
    begun, ended = ({f"bin {number}": 60.0 for number in range(1, count)} for count in (3, 8))
    for one, other in ((plain, shown(milestones_s=begun)), (shown(milestones_s=begun), shown(milestones_s=ended))):
        assert changed_columns(one, other).min() > 1560
