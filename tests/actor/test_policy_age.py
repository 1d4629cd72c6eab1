import dataclasses
import time

import pytest

from daydreamer.actor.policy_age import PolicyAge


@dataclasses.dataclass
class Policy:
    created_wall_s: float


@pytest.mark.parametrize("set_by_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_does_not_change_the_age_of_a_policy(monkeypatch, set_by_s):
    age = PolicyAge()
    policy, real = Policy(time.time() - 100.0), time.time
    assert age(None) is None
    before_s = age(policy)
    assert 100.0 <= before_s < 160.0
    monkeypatch.setattr(time, "time", lambda: real() + set_by_s)
    assert before_s <= age(policy) < before_s + 60.0
    fresh = Policy(time.time())
    assert 0.0 <= age(fresh) < 60.0
    # One of the future, as after the clock was set back, is not younger than new.
    assert 0.0 <= age(Policy(time.time() + 500.0)) < 60.0
