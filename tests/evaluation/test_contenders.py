"""Which policies are judged, on which robots, and what is refused."""

import pytest
import yaml

from daydreamer.config import TwinConfig, resolve
from daydreamer.errors import UserError
from daydreamer.evaluation.contenders import find_contenders, nominal_twin, random_twin, trials_of
from daydreamer.policy.snapshot import read_snapshot
from daydreamer.session.directory import Session
from daydreamer.session.new import configure, new_session

CHOSEN = {"version": "best", "samples": False, "overrides": (), "fitted": None}


def contenders_of(folder, *sessions, **options):
    return find_contenders([session.path for session in sessions], folder, **CHOSEN | options)


def trials(contenders, **options):
    chosen = {"robots": 2, "episodes": 3, "seconds": None, "seed": 50, "is_fitted": False}
    return trials_of(contenders, **chosen | options)


def test_all_policies_get_the_same_robots(learned, learned_again, tmp_path):
    contenders = contenders_of(tmp_path, learned, learned_again)
    assert [each.name for each in contenders] == ["monday", "tuesday"]
    assert not any(each.running or each.other_twin for each in contenders)
    read_snapshot(contenders[0].snapshot, learned.spec)  # a copy, which the session cannot take away
    planned = trials(contenders)
    assert len(planned) == 2 * (5 + 2)  # as published at least five times
    assert [(each.kind, each.seed) for each in planned if each.contender == 0][:4] == [
        ("nominal", 50),
        ("random", 50),
        ("nominal", 51),
        ("random", 51),
    ]
    for one, other in zip(planned[::2], planned[1::2], strict=True):
        assert (one.kind, one.config) == (other.kind, other.config)
    nominal, random = planned[0], planned[2]
    assert nominal.config.twin == learned.config.twin
    assert random.config.twin.randomisation.enabled
    assert (nominal.episodes, nominal.episode_steps) == (3, 250)
    assert trials(contenders, seconds=2.0)[0].episode_steps == 40
    assert {each.kind for each in trials(contenders, robots=0)} == {"nominal"}
    # Frozen, but for what somebody might wish.
    actor = nominal.config.actor
    assert (actor.random_s, actor.rhythm_hz, actor.draws_wishes) == (0.0, None, True)
    assert nominal.config.model.acting_noise == 0.0


def test_a_session_that_was_learned_in_another_twin_is_told(learned, learned_again, tmp_path):
    record = yaml.safe_load((learned_again.path / "session.yaml").read_text())
    record["config"]["twin"]["stiffness_n_m_rad"] = 60.0
    record["config"]["twin"]["incidents"] = [{"kind": "push", "start_s": 30.0}]
    other = tmp_path / "other"
    (other / "policy").mkdir(parents=True)
    for folder in ("experience", "policy"):
        (other / folder).mkdir(exist_ok=True)
        for path in (learned_again.path / folder).iterdir():
            (other / folder / path.name).write_bytes(path.read_bytes())
    (other / "session.yaml").write_text(yaml.safe_dump(record))
    first, second = contenders_of(tmp_path, learned, Session.open(other))
    assert second.other_twin and not first.other_twin
    assert second.config.twin == first.config.twin


def test_a_fitted_twin_has_its_published_robot_in_the_middle(learned, tmp_path):
    fitted = {"randomisation": {"enabled": True, "payload_kg": [1.0, 2.0]}, "damping_hip_n_m_s_rad": 1.5}
    (contender,) = contenders_of(tmp_path, learned, fitted=fitted, overrides=["twin.command_timeout_s=0.5"])
    assert contender.config.twin.damping_hip_n_m_s_rad == 1.5 and contender.config.twin.command_timeout_s == 0.5
    middle = nominal_twin(contender.config.twin, is_fitted=True).randomisation
    assert middle.enabled and middle.payload_kg == (1.5, 1.5)
    assert random_twin(contender.config.twin).randomisation.payload_kg == (1.0, 2.0)
    drawn = resolve({"twin": {"randomisation": {"enabled": True}}}).twin
    assert nominal_twin(drawn, is_fitted=False) == TwinConfig()


def test_what_cannot_be_judged_is_refused(learned, record_session, tmp_path):
    def refuse(match, *sessions, **options):
        with pytest.raises(UserError, match=match):
            contenders_of(tmp_path, *sessions, **options)

    refuse("has no policy yet", record_session().session)
    refuse("no policy '7'", learned, version="7")
    refuse("named twice", learned, learned)
    burger = new_session(tmp_path / "burger", configure(robot="burger", minutes=1.0, seed=0))
    refuse("has robot 'a1' and .* has 'burger'", learned, burger)
    refuse("frictoin", learned, overrides=["twin.randomisation.frictoin=[0.1,0.2]"])
    refuse("happen in real time", learned, overrides=["twin.random_incidents_per_minute=6"])
    refuse("observation 'camera' exists only here", learned, overrides=["twin.camera=true"])
