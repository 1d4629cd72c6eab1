"""The curve of a live session on the twin, in the form of learning_curves.py.

    daydreamer walk --minutes 60 --session SESSION
    python benchmarks/live_curve.py SESSION --out DIR [--beside "what else ran on the machine"]

Leaves in DIR the curve seedS.csv (a row for every ten seconds of robot time) and summary.json with the session's last
status, for plot_curves.py and milestone_table.py. What is judged is the simulator's truth, which the twin reports every
few seconds; between its reports it is interpolated.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
from pathlib import Path

import numpy as np
from learning_curves import describe_machine, milestones_minutes, write_curve

from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.lockstep import REPORT_STEPS
from daydreamer.robots.quadruped.presentation import FORWARD_VELOCITY
from daydreamer.session.directory import Session
from daydreamer.session.status import read_status
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.metrics import truth_tag
from daydreamer.telemetry.scalars import ScalarReader

TRUE_SPEED = truth_tag(FORWARD_VELOCITY)

OF_EVERY_UPDATE = "learner/gradient_norm"
"""Any metric that the learner reports by gradient step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path, metavar="SESSION")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--beside", default="nothing", help="what else ran on the machine")
    options = parser.parse_args()
    try:
        session = Session.open(options.session)
        options.out.mkdir(parents=True, exist_ok=True)
        write_summary(session, options.out, options.beside)
    except UserError as error:
        parser.error(str(error))


def write_summary(session: Session, out: Path, beside: str) -> None:
    """Writes the curve and the summary.

    Raises:
      UserError: the session has logged less than one row, or had no twin or no learner.
    """
    config, status = session.config, read_status(session)
    rows = curve(session)
    write_curve(out / f"seed{config.seed}.csv", rows)
    command = ["daydreamer", "walk", "--minutes", f"{config.minutes:g}", "--seed", str(config.seed)]
    command += ["--preset", config.preset] if config.preset != "default" else []
    summary = {
        "command": shlex.join(command),
        "date": datetime.date.today().isoformat(),
        "machine": f"{describe_machine()}; beside it: {beside}",
        "versions": session.record.versions,
        "status": {name: value for name, value in status.items() if name not in ("processes", "milestones_s")},
        "seeds": {
            str(config.seed): {
                "started": session.record.started,
                "milestones_minutes": milestones_minutes(status),
                "wall_s": round(rows[-1][-1], 1),
            }
        },
    }
    write_anywhere(out / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())


def curve(session: Session) -> list[tuple[float, ...]]:
    """Rows of `learning_curves.COLUMNS`.

    Raises:
      UserError: see `write_summary`.
    """
    metrics = ScalarReader(session.metrics).read()
    if missing := {TRUE_SPEED, OF_EVERY_UPDATE} - metrics.keys():
        raise UserError(f"{session.path} has no metric {min(missing)}: it takes a session on the twin, with a learner.")
    steps = ExperienceTail(session.experience, session.spec).read()
    if len(steps) < REPORT_STEPS:
        raise UserError(f"{session.path} has logged {len(steps)} steps; a row of a curve takes {REPORT_STEPS}.")
    wall_s = np.array([step.wall_ns for step in steps]) * 1e-9
    reward = np.array([step.info["published_reward"] for step in steps])
    odometry_m_s = np.array([step.info["forward_velocity_m_s"] for step in steps])
    true_m_s = np.interp(wall_s, metrics[TRUE_SPEED].wall_s, metrics[TRUE_SPEED].value)
    updates = metrics[OF_EVERY_UPDATE]
    rows = []
    for end in range(REPORT_STEPS, len(steps) + 1, REPORT_STEPS):
        row = slice(end - REPORT_STEPS, end)
        gradient_steps = int(np.interp(wall_s[end - 1], updates.wall_s, updates.step, left=0))
        figures = (float(values[row].mean()) for values in (reward, odometry_m_s, true_m_s))
        minutes = end * session.spec.control_period_s / 60
        rows.append((minutes, *figures, gradient_steps, wall_s[end - 1] - wall_s[0]))
    return rows


if __name__ == "__main__":
    main()
