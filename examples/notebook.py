"""A session in a notebook: what was experienced, what happened, and how the robot moved its legs.

    pip install '.[notebook,report]'
    python examples/notebook.py DIR        # or cell by cell in an editor that knows '# %%'

Prints a few figures of the session in DIR and draws the last four seconds of its joints and reward into gait.png.
"""

# %% The session
import sys

import matplotlib.pyplot as plt

import daydreamer

session = daydreamer.load(sys.argv[1] if len(sys.argv) > 1 else "sessions/monday")
steps = session.steps
print(session)
print(f"{len(steps)} steps, {steps.robot_s.iloc[-1] / 60:.1f} robot minutes, seed {session.config.seed}")

# %% By minute: reward, and what share of the steps the policy chose
by_minute = steps.assign(by_policy=steps.policy_version > 0).groupby((steps.robot_s // 60).rename("minute"))
print(by_minute[["reward", "by_policy"]].mean().round(2))

# %% What happened, and what the learner measured
if len(session.events):
    print(session.events.kind.value_counts())
metrics = session.metrics.groupby("tag").value.last()
print(metrics[metrics.index.str.startswith("learner/loss/")])

# %% The last four seconds
last = steps[steps.robot_s > steps.robot_s.iloc[-1] - 4.0]
joints = [column for column in steps if column.startswith("observation_joint_position_")][:3]
figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(8, 5))
last.plot("robot_s", joints, ax=above, ylabel="joint angle, share of its range")
last.plot("robot_s", "reward", ax=below, ylabel="reward", xlabel="robot time (s)")
figure.savefig("gait.png", dpi=120)
