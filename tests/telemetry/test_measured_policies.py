"""What policies are chosen by: the reward of what they did themselves."""

import numpy as np
import pytest

from daydreamer.errors import UserError
from daydreamer.policy.snapshot import SnapshotMetadata, snapshot_path, write_snapshot
from daydreamer.telemetry.measured_policies import choose_policy, measure_policies

RATE = 20
"""Of the A1."""


@pytest.fixture
def recorder(record_session):
    return record_session()


def keep(recorder, version, seconds):
    """A snapshot made after so much robot time."""
    metadata = SnapshotMetadata(
        version=version,
        gradient_step=version,
        env_steps=seconds * RATE,
        robot_spec=recorder.spec,
        model={},
        created_wall_s=0.0,
    )
    return write_snapshot(recorder.session.policy, {"weights": np.zeros(3, np.float32)}, metadata)


def by_version(recorder, **options):
    return {each.version: each for each in measure_policies(recorder.session, **options)}


def test_a_policy_is_measured_by_what_it_and_its_neighbours_chose(recorder):
    def change(step):
        second = step.sequence / RATE
        step.reward = 5.0 if second < 60 else 13.0 if second < 120 else 9.0
        if second >= 120 and step.sequence % 2:  # every other action somebody else's, and it paid
            step.policy_version, step.intervention = (0, False) if step.sequence % 4 == 1 else (7, True)
        elif second >= 120 and not step.is_first:
            step.reward = 20.0  # follows what was not the policy's

    recorder.log(180.0, change)
    for version, seconds in ((1, 10), (2, 90), (3, 150), (4, 185), (5, 400)):
        keep(recorder, version, seconds)
    measured = by_version(recorder)
    assert [measured[version].reward for version in (1, 2)] == pytest.approx([5.0, 13.0], abs=0.02)
    assert measured[3].reward == pytest.approx(9.0, abs=0.05) and measured[3].steps == pytest.approx(600, abs=6)
    assert measured[2].steps == pytest.approx(1200, abs=6)  # but for the first of each episode
    assert measured[2].robot_minutes == 1.5
    # Within 25 s of the end there are 500 steps, of which half count; beyond it there are none.
    assert measured[4].reward is not None and (measured[5].reward, measured[5].steps) == (None, 0)
    assert by_version(recorder, window_s=8.0)[2].reward is None  # too few
    # Three whole episodes of 12.5 s about second 90 are those from second 75 to 112.5: 22.5 s to either side.
    assert by_version(recorder, window_s=20.0)[2].steps == pytest.approx(45 * RATE, abs=6)


def test_of_a_whole_episode_the_last_step_counts(recorder):
    """It is the one that is paid, as where a success ends the episode: here those that end at 75, 87.5, ... 112.5 s."""
    recorder.log(180.0, lambda step: setattr(step, "reward", float((step.sequence + 1) % 250 == 0)))
    keep(recorder, 1, 90)
    measured = by_version(recorder, window_s=20.0)[1]
    assert measured.reward * measured.steps == pytest.approx(4.0)


def test_the_best_is_chosen_and_not_the_newest(recorder):
    recorder.log(300.0, lambda step: setattr(step, "reward", 13.0 if 100 <= step.sequence / RATE < 200 else 9.0))
    for version, seconds in ((3, 40), (9, 150), (21, 290)):
        keep(recorder, version, seconds)
    session = recorder.session
    assert choose_policy(session).version == 9 and choose_policy(session).reward == 13.0
    assert choose_policy(session, "newest").version == 21
    assert choose_policy(session, "3").reward == 9.0
    with pytest.raises(UserError, match="no policy '4'; choose best, newest, or one of 3, 9, 21"):
        choose_policy(session, "4")
    # One that is damaged is passed over, unless it was asked for.
    path = snapshot_path(session.policy, 9)
    path.write_bytes(path.read_bytes()[:-1])
    assert choose_policy(session).version in (3, 21)
    with pytest.raises(UserError, match="damaged"):
        choose_policy(session, "9")


def test_what_could_be_luck_does_not_choose_an_older_policy(recorder):
    """Episodes earn 5 or 13, every other one: the mean of a minute's five or six is known to 1.8."""

    def change(step):
        second = step.sequence / RATE
        gain = 1.0 if 60 <= second < 120 else 6.0 if 120 <= second < 180 else 0.0
        step.reward = (13.0 if second // 12.5 % 2 else 5.0) + gain

    recorder.log(240.0, change)
    for version, seconds in ((3, 30), (9, 90), (21, 210)):
        keep(recorder, version, seconds)
    measured = by_version(recorder)
    assert measured[9].reward == max(each.reward for each in measured.values())
    assert measured[9].standard_error == pytest.approx(4.0 / np.sqrt(5.0), rel=0.15)
    assert choose_policy(recorder.session).version == 21
    keep(recorder, 15, 150)
    assert choose_policy(recorder.session).version == 15


def test_without_a_measurement_the_newest_is_the_best(recorder):
    with pytest.raises(UserError, match="no policy yet; let it learn"):
        choose_policy(recorder.session)
    for version in (1, 2):
        keep(recorder, version, 0)
    assert (choose_policy(recorder.session).version, choose_policy(recorder.session).reward) == (2, None)
