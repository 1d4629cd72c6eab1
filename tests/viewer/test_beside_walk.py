"""The dashboard beside a live session, over real ROS 2: it comes with `walk`, and nobody misses it."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("rerun")

from daydreamer.scheduling import ONLOOKER_NICENESS, missing_permissions
from daydreamer.session.dashboard import dashboard_url
from daydreamer.session.directory import Session
from daydreamer.viewer.process import RECORDING

DOMAIN = "59"
TIMEOUT_S = 240.0


@pytest.mark.timeout(600)
def test_a_killed_dashboard_changes_nothing(tmp_path):
    path = tmp_path / "session"
    command = [sys.executable, "-m", "daydreamer.cli.main", "walk", "--session", str(path), "--preset", "tiny"]
    walk = subprocess.Popen(
        [*command, "--minutes", "0.2"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "ROS_DOMAIN_ID": DOMAIN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        end_s = time.monotonic() + TIMEOUT_S
        while not (path / "status" / "dashboard.json").exists() and walk.poll() is None:
            assert time.monotonic() < end_s, "no dashboard"
            time.sleep(0.1)
        session = Session.open(path)
        assert dashboard_url(session).startswith("http://127.0.0.1:")
        announced = json.loads((path / "status" / "dashboard.json").read_bytes())
        dashboard = psutil.Process(announced["process"]["pid"])
        assert dashboard.nice() >= (ONLOOKER_NICENESS if missing_permissions() else 0)
        assert not dashboard.children()
        dashboard.kill()
        output, _ = walk.communicate(timeout=TIMEOUT_S)
    finally:
        walk.kill()
    assert walk.returncode == 0, output
    assert "240 steps logged" in output
    assert dashboard_url(session) is None
    assert (path / RECORDING).stat().st_size > 0
