import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from daydreamer.cli.main import app
from daydreamer.errors import UserError
from daydreamer.session.new import configure
from sim import identification


def test_a_log_in_which_nothing_moved_says_what_it_takes(record_session, tmp_path):
    recorder = record_session()

    def stand(step):
        step.action_sent = np.zeros_like(step.action_sent)

    recorder.log(60.0, stand)
    result = CliRunner().invoke(app, ["fit", str(recorder.session.path), "--out", str(tmp_path / "twin.yaml")])
    assert isinstance(result.exception, UserError)
    assert "1.0 minutes" in str(result.exception) and "three minutes more" in str(result.exception)
    assert not (tmp_path / "twin.yaml").exists()


def test_what_is_found_can_be_rehearsed_on(record_session, tmp_path, monkeypatch):
    """The recorded robot moves as no twin would, so that nothing is claimed of what is found, only of what is made."""
    monkeypatch.setattr(identification, "GENERATIONS", 2)
    monkeypatch.setattr(identification, "RESAMPLED", 5)
    recorder, out = record_session(), tmp_path / "twin.yaml"
    random = np.random.default_rng(0)

    def sway(step):
        step.action_sent = step.action_sent + 0.2 * random.normal(size=12)

    recorder.log(120.0, sway)
    arguments = ["fit", str(recorder.session.path), "--out", str(out), "--stretches", "60"]
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    found = json.loads(result.stdout)
    assert set(found["found"]) >= {"payload_kg", "friction", "command_latency_s"}
    assert found["held_out"]["stretches"] == 60 and found["held_out"]["published"]["all"] > 0
    content = yaml.safe_load(out.read_text())
    assert content["fit"] == found
    from daydreamer.cli.fit import fitted_twin

    config = configure(robot="a1", minutes=1.0, seed=0, twin=fitted_twin(out), overrides=["twin.camera=true"])
    assert config.twin.randomisation.enabled and config.twin.camera
    assert config.twin.randomisation.friction == tuple(content["twin"]["randomisation"]["friction"])


def test_a_robot_on_wheels_cannot_be_fitted(tmp_path):
    from daydreamer.session.new import new_session

    session = new_session(tmp_path / "session", configure(robot="burger", minutes=1.0, seed=0))
    result = CliRunner().invoke(app, ["fit", str(session.path)])
    assert isinstance(result.exception, UserError) and "cannot be fitted" in str(result.exception)


def test_a_file_that_no_fit_wrote_is_refused(tmp_path):
    from daydreamer.cli.fit import fitted_twin

    path = tmp_path / "other.yaml"
    path.write_text("friction: 0.5\n")
    with pytest.raises(UserError, match="no section 'twin'"):
        fitted_twin(path)
    with pytest.raises(UserError, match="cannot be read"):
        fitted_twin(tmp_path / "missing.yaml")
    path.write_text("twin: {randomisation: {frictoin: [0.5, 0.6]}}\n")
    with pytest.raises(UserError, match="frictoin"):
        configure(robot="a1", minutes=1.0, seed=0, twin=fitted_twin(path))
