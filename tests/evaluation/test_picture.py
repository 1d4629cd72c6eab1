"""The picture of an evaluation."""

import pytest

from daydreamer.config import TwinConfig
from daydreamer.evaluation.measures import ACTION_CHANGE, TRANSPORT, Measure
from daydreamer.evaluation.picture import draw
from daydreamer.evaluation.result import Evaluation, Judged
from daydreamer.evaluation.statistics import group_of
from daydreamer.evaluation.trial import Outcome
from daydreamer.report.style import to_svg
from daydreamer.session.played import PlayedPolicy

MEASURES = [
    Measure(key="info/published_reward", title="reward, as published"),
    Measure(key="reward", title="reward"),
    Measure(key="fell_per_minute", title="fell, per minute", is_rate=True),
    Measure(key=TRANSPORT, title="cost of transport"),
    Measure(key=ACTION_CHANGE, title="action change (%)"),
]
SEEDS = [7, 8, 9]


def judged(name, better, kinds=("nominal", "random")):
    """A policy, under which the last robot got nowhere."""
    robots = [
        Outcome(
            contender=0,
            kind=kind,
            seed=seed,
            robot_minutes=1.0,
            values={each.key: better + seed for each in MEASURES if (each.key, seed) != (TRANSPORT, SEEDS[-1])},
        )
        for kind in kinds
        for seed in SEEDS
    ]
    groups = {kind: group_of([each for each in robots if each.kind == kind], MEASURES, ()) for kind in kinds}
    policy = PlayedPolicy(
        session=name, session_digest="", version=1, gradient_step=1, env_steps=1, robot_minutes=1.0, chosen="best"
    )
    return Judged(
        name=name,
        policy=policy,
        running=False,
        other_twin=False,
        groups=groups,
        worst=None,
        differences={},
        robots=robots,
    )


def evaluation(*policies):
    return Evaluation(
        robot="a1",
        task="walk",
        episodes=1,
        episode_s=60.0,
        seeds=SEEDS,
        twin=TwinConfig(),
        compared="info/published_reward",
        complete=True,
        wall_s=1.0,
        robot_minutes=6.0,
        measures=MEASURES,
        policies=list(policies),
    )


def texts(axes):
    return {text.get_text() for text in axes.texts}


def test_each_robot_is_a_dot_beside_its_mean():
    figure = draw(evaluation(judged("monday", 0.0), judged("_$tuesday$", 10.0)))
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.axison}
    assert list(panels) == ["reward, as published", "fell, per minute", "cost of transport"]
    reward, transport = panels["reward, as published"], panels["cost of transport"]
    dots, means = reward.collections[0::3], reward.collections[1::3]
    assert [each.get_offsets()[:, 1].tolist() for each in dots] == [[7.0, 8.0, 9.0], [17.0, 18.0, 19.0]] * 2
    assert [each.get_segments()[0][0][1] for each in means] == pytest.approx([8.0, 18.0] * 2)
    places = [each.get_offsets()[:, 0] for each in dots]
    assert all(one.max() < other.min() for one, other in zip(places, places[1:], strict=False))
    assert [tick.get_text() for tick in reward.get_xticklabels()] == ["as published", "drawn at random"]
    assert (texts(reward), texts(transport)) == (set(), {"n=2"})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["monday", "_$tuesday$"]
    assert b"<svg" in to_svg(figure)


def test_one_policy_on_robots_as_published_alone():
    figure = draw(evaluation(judged("monday", 0.0, kinds=("nominal",))))
    assert not figure.legends
    assert "a1 walk, robots: 3 as published; 1.0 minutes of each" in figure.get_suptitle()
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["as published"]
