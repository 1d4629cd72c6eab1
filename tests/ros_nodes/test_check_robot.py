import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

SWAPPED = "[{kind: swapped_joint_names, start_s: 0, duration_s: 1000, target: FR_calf_joint FL_calf_joint}]"


def verdict(output, name):
    """Of a row of the table."""
    row = re.search(rf"[│|] {re.escape(name)} +[│|] (\w+)", output)
    assert row, output
    return row[1]


@pytest.mark.timeout(500)
def test_a_driver_that_swaps_two_names_is_found_by_moving():
    command = [sys.executable, "-m", "daydreamer.cli.main", "check-robot", "--robot", "twin", "--seconds", "1"]
    result = subprocess.run(
        [*command, "--set", f"twin.incidents={SWAPPED}"],
        env=os.environ | {"ROS_DOMAIN_ID": "43"},
        capture_output=True,
        text=True,
        timeout=450,
    )
    output = result.stdout
    assert result.returncode == 1, output + result.stderr
    # Both lie within the same limits, so that nothing shows until they move.
    assert verdict(output, "joint ranges") == "ok"
    for joint in ("FR_calf_joint", "FL_calf_joint"):
        assert verdict(output, f"moves: {joint}") == "FAIL"
    assert "the names are swapped" in output
    for joint in ("FR_hip_joint", "RL_calf_joint"):
        assert verdict(output, f"moves: {joint}") == "ok"
    assert verdict(output, "IMU axes") == "ok"
    assert "2 failed." in output
