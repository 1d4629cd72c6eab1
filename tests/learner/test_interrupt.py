"""An interrupt while a process still loads its libraries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("module, library", [("daydreamer.learner.process", "jax"), ("ros_nodes.actor_node", "rclpy")])
def test_an_interrupt_while_libraries_load_simply_ends_the_process(module, library, tmp_path):
    """As an exception it may be raised in a callback that swallows it, and then nobody hears of it."""
    (tmp_path / f"{library}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    ended = subprocess.run([sys.executable, "-m", module], env=environment, capture_output=True, timeout=200)
    assert (ended.returncode, ended.stderr) == (-2, b"")
