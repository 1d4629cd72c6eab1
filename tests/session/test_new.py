"""What a session may be made of."""

import pytest

from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.session.new import CHOSEN, configure, new_session


@pytest.mark.parametrize("name", CHOSEN)
def test_what_other_settings_depend_on_is_not_set_beside_them(name):
    with pytest.raises(UserError, match=f"'{name}' cannot be set beside the other settings"):
        configure(robot="a1", minutes=1.0, seed=0, overrides=[f"{name}=hardware"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["model.memory=false", "model.image_loss=none", "twin.camera=true"], "nothing is seen of images"),
        (["twin.camera=true", "model.hues=true"], None),
        (
            ["twin.camera=true", "learner.replay_bytes=10000000"],
            "4096 steps of these pictures take",
        ),
    ],
)
def test_what_the_networks_need_of_sensors_is_known_before_there_is_a_session(tmp_path, settings, words):
    config = configure(robot="a1", minutes=1.0, seed=0, overrides=settings)
    if words is None:
        assert isinstance(new_session(tmp_path / "session", config), Session)
        return
    with pytest.raises(UserError, match=f"Nothing could be learned .*{words}.* Change it with --set"):
        new_session(tmp_path / "session", config)
    assert not (tmp_path / "session").exists()
