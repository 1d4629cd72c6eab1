"""The benchmark of the experience log, with a few steps."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import experience_log


def test_steps_are_of_one_origin(monkeypatch, capsys, tmp_path):
    options = ["--image", "--steps", "3", "--pictures", "png"]
    monkeypatch.setattr(sys, "argv", ["experience_log.py", *options])
    experience_log.main()
    assert "append_p99_ms" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["experience_log.py", *options, "--session", str(tmp_path)])
    with pytest.raises(SystemExit):
        experience_log.main()
    assert "not allowed with argument --image" in capsys.readouterr().err
