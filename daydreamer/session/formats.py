"""Sessions of earlier formats, read as if they were of today's."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from daydreamer.config import drop_retired

FORMAT_VERSION = 2

_BODIES_1 = {"twin": ("a1", "twin"), "a1": ("a1", "hardware"), "go2": ("go2", "hardware")}
"""Format 1 knew one task, walking, and called the A1's twin a robot."""

_SECONDS_1 = (
    ("actor", "random_steps", "random_s"),
    ("actor", "rhythm_steps", "rhythm_s"),
    ("learner", "minimum_steps", "minimum_s"),
    ("learner", "recent_steps", "recent_s"),
)
"""Settings that were counted in control steps, by section, with their names of today."""

_RENAMED = (("learner", "withheld", "open_loop_share"),)
"""Settings that have another name today, by section."""


def rename_settings(values: Mapping[str, Any]) -> None:
    """Gives settings in the plain values of any `session.yaml` the names of today, and drops those that are gone."""
    config = values.get("config")
    if not isinstance(config, dict):
        return
    sections = {name: each for name, each in config.items() if isinstance(each, dict)}
    for section, old, new in _RENAMED:
        settings = sections.get(section, {})
        if old in settings:
            settings.setdefault(new, settings.pop(old))
    drop_retired(sections.get("model", {}))


def upgrade(values: MutableMapping[str, Any]) -> None:
    """Makes the plain values of a `session.yaml` of format 1 those of `FORMAT_VERSION`; what is odd is left as it is.

    Raises:
      ValueError: a value that must be known for it is of another kind than it ever was.
    """
    config, spec = values.get("config"), values.get("robot_spec")
    if not isinstance(config, dict) or not isinstance(spec, dict):
        raise ValueError("it has no settings or no robot specification")
    robot = config.get("robot", "twin")
    if not isinstance(robot, str) or robot not in _BODIES_1:
        raise ValueError(f"there was no robot '{robot}' then")
    config["robot"], config["body"] = _BODIES_1[robot]
    config["task"] = "walk"
    rate_hz = spec.get("control_rate_hz")
    if isinstance(rate_hz, bool) or not isinstance(rate_hz, int | float) or not rate_hz > 0:
        raise ValueError(f"a control rate of {rate_hz} Hz is none")
    for section, steps_name, seconds_name in _SECONDS_1:
        settings = config.get(section)
        if isinstance(settings, dict) and steps_name in settings:
            steps = settings.pop(steps_name)
            if isinstance(steps, bool) or not isinstance(steps, int):
                raise ValueError(f"{section}.{steps_name} is {steps}")
            settings[seconds_name] = steps / rate_hz
    values["format_version"] = FORMAT_VERSION
