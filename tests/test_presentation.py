"""What a task may say about how it is shown, what a session keeps of it, and what is refused of a stranger's."""

import math

import msgspec
import pytest

from daydreamer.config import SessionConfig, decode_yaml, encode_yaml, load_yaml
from daydreamer.errors import UserError
from daydreamer.presentation import MOST_FIGURES, Figure, Milestone, Presentation
from daydreamer.robots.quadruped.presentation import WALK
from daydreamer.robots.registry import robots
from daydreamer.session.directory import Session
from daydreamer.telemetry.quantities import is_known

TASKS = {name: robot.task().make(SessionConfig()) for name, robot in robots().items()}


@pytest.fixture
def session(tmp_path):
    task = TASKS["a1"]
    return Session.create(tmp_path / "session", SessionConfig(), task.spec, task.presentation)


def change(session, *changes):
    """The session with some of `session.yaml` changed, each as (keys, value)."""
    values = load_yaml(session.path / "session.yaml")
    for *keys, last, value in changes:
        place = values
        for key in keys:
            place = place[key]
        place[last] = value
    (session.path / "session.yaml").write_bytes(msgspec.yaml.encode(values))
    return session.path


@pytest.mark.parametrize("name", TASKS)
def test_every_quantity_that_a_task_speaks_of_is_logged(name):
    task, presentation = TASKS[name], TASKS[name].presentation
    parts = (*presentation.milestones, *presentation.figures, *presentation.occurrences)
    for quantity in (presentation.compared_reward, *(part.quantity for part in parts)):
        assert is_known(quantity, task.spec), quantity
    assert set(presentation.may_be_constant) <= task.spec.observation.keys()


def test_it_is_the_same_to_the_bit_when_it_is_read_back(session):
    assert Session.open(session.path).presentation == session.presentation == WALK
    odd = Figure(quantity="info/x", name="x", plot_range=(-math.pi, math.nextafter(0.1, 1)))
    read = msgspec.convert(decode_yaml(encode_yaml(odd), "it"), Figure, strict=False)
    assert read == odd


def test_a_session_of_before_is_told_as_it_was_then(session):
    values = load_yaml(session.path / "session.yaml")
    del values["presentation"]
    (session.path / "session.yaml").write_bytes(msgspec.yaml.encode(values))
    assert Session.open(session.path).presentation == WALK
    assert Session.open(change(session, ("robot_spec", "task", "sort"))).presentation == Presentation()


@pytest.mark.parametrize(
    "keys",
    [
        ("milestones", 0, "name", "upright\x1b[6n"),
        ("milestones", 0, "name", "../../etc"),
        ("milestones", 0, "name", "standing"),
        ("milestones", 0, "did", "stood\nThe report is at http://example.com"),
        ("milestones", 0, "did", "s" * 1000),
        ("milestones", 0, "quantity", "observation/velocity"),
        ("milestones", 0, "at_least", math.nan),
        ("milestones", 0, "mean_s", 1e9),
        ("milestones", 0, "rewards", 1.0),
        ("figures", 0, "decimals", 10_000),
        ("figures", 0, "plot_range", [1.0, -1.0]),
        ("figures", 0, "unit", "\u202em/s"),
        ("figures", [{"quantity": f"info/x{number}", "name": "x"} for number in range(MOST_FIGURES + 1)]),
        ("occurrences", 0, "to", 0.7),
        ("reward_level", {"value": math.inf, "words": "more"}),
    ],
    ids=str,
)
def test_what_no_task_says_is_refused(session, keys):
    with pytest.raises(UserError, match=r"session.yaml is wrong"):
        Session.open(change(session, ("presentation", *keys)))


@pytest.mark.parametrize(
    "figure, value, amount, label, title, heading",
    [
        (WALK.figures[0], 0.3, "+0.30 m/s", "m/s forward", "forward speed (m/s)", "forward (m/s)"),
        (WALK.figures[0], -0.001, "+0.00 m/s", "m/s forward", "forward speed (m/s)", "forward (m/s)"),
        (Figure(quantity="reward", name="grasps", decimals=0), 2.6, "3", "grasps", "grasps", "grasps"),
    ],
)
def test_a_figure_in_words(figure, value, amount, label, title, heading):
    assert (figure.amount(value), figure.label, figure.title, figure.heading) == (amount, label, title, heading)


def test_the_last_milestone_is_the_goal():
    assert Presentation().goal is None and WALK.goal.name == "walking"
    one = Milestone(name="first", did="did it", quantity="reward", at_least=1.0, hold_s=0.0)
    assert Presentation(milestones=(one,)).milestone_names == ("first",)
