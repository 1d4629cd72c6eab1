"""Draws the strip of docs/dreaming.md: `python docs/make_dream_strip.py SESSION --out FILE [--minute 9.5]`.

What was logged, what the model makes of the same actions, and what it makes of a stick that is pushed instead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from daydreamer.compilation import keep_compilations
from daydreamer.instrument.dreaming import DreamModel
from daydreamer.instrument.logged import CONTEXT_S, find_window, read_logged
from daydreamer.learner.learned import read_learned
from daydreamer.policy.policy import Policy
from daydreamer.report.film import draw_robot, side_by_side, with_caption
from daydreamer.robots.portrayal import portray
from daydreamer.robots.registry import make_task
from daydreamer.telemetry.measured_policies import choose_policy

SHOWN_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0)
WIDTH_PX = 140
STICK = np.array((0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
CAPTIONS = ("what was measured", "dreamed under the same actions", "what if: the stick up (lower the trunk)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path)
    parser.add_argument("--minute", type=float, default=9.5)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    keep_compilations()
    learned = read_learned(options.session)
    skeleton_m = portray(learned.session.spec).skeleton_m
    if skeleton_m is None:
        parser.error("nobody knows how to draw this robot")
    session, spec = learned.session, learned.session.spec
    steps = read_logged(session)
    context, horizon = max(2, spec.steps(CONTEXT_S)), spec.steps(SHOWN_S[-1])
    begin = find_window(session, steps, context + horizon, options.minute) + context
    policy = Policy.load(choose_policy(session).path, spec, 0, 0.0)
    model = DreamModel(learned, policy, steps, steps.minute(begin), 0)
    moment, _ = model.begin()
    pushed = make_task(session.config).operator_action(STICK)
    rows: tuple[list[Image.Image], ...] = ([], [], [])
    for step in range(1, horizon + 1):
        taken = steps.rows["action"][begin + step - 2]
        moment, dreamed = model.advance(moment, (0, 1), (taken, pushed))
        seconds = step * spec.control_period_s
        if not any(np.isclose(seconds, shown) for shown in SHOWN_S):
            continue
        logged = {key: steps.rows[f"observation/{key}"][begin + step - 1] for key in spec.observation}
        for row, observation in zip(rows, (logged, *(robot.observation for robot in dreamed)), strict=True):
            row.append(with_caption(draw_robot(skeleton_m(observation), WIDTH_PX), f"{seconds:.1f} s"))
    strips = [with_caption(side_by_side(row), caption) for row, caption in zip(rows, CAPTIONS, strict=True)]
    picture = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)), "white")
    for index, strip in enumerate(strips):
        picture.paste(strip, (0, index * strip.height))
    picture.quantize(64).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
