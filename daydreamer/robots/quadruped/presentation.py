"""What a quadruped that learns to walk is judged by, and what is shown of it."""

from __future__ import annotations

from daydreamer.presentation import Figure, Level, Milestone, Occurrence, Presentation

UPRIGHT, STANDING, WALKING = "upright", "standing", "walking"

PUBLISHED_REWARD = "info/published_reward"
FORWARD_VELOCITY = "info/forward_velocity_m_s"

UPRIGHT_TERM = 0.9
"""Least reward term `r_upright`, which is 0 on the back and 1 with the trunk level: at most 37 degrees off level."""

UPRIGHT_HOLD_S = 10.0

STANDING_REWARD = 9.0
"""Least published reward per step. Standing still in exactly the rewarded pose gives 9.0."""

WALKING_SPEED_M_S = 0.3
"""Least forward speed: the published target."""

HOLD_S = 30.0
"""How long a robot must stand or walk."""

MEAN_S = 5.0
"""Span of the running means of reward and speed, a few gait cycles, so that the trunk's sway does not count."""

WALK = Presentation(
    compared_reward=PUBLISHED_REWARD,
    compared_as="as published",
    reward_range=(4.0, 14.0),
    # Terms lie between -1 and 1; below is room for the legend.
    terms_range=(-2.0, 1.1),
    reward_level=Level(value=STANDING_REWARD, words="standing still"),
    milestones=(
        Milestone(
            name=UPRIGHT,
            did="held itself upright",
            does="holds itself upright",
            quantity="reward_terms/r_upright",
            at_least=UPRIGHT_TERM,
            hold_s=UPRIGHT_HOLD_S,
        ),
        # This is strict: a robot at rest gets 9.0 only in exactly the rewarded pose, and in any other must make up for
        # the difference with some forward motion.
        Milestone(
            name=STANDING,
            did="stood",
            does="stands",
            quantity=PUBLISHED_REWARD,
            at_least=STANDING_REWARD,
            hold_s=HOLD_S,
            mean_s=MEAN_S,
        ),
        Milestone(
            name=WALKING,
            did="walked",
            does="walks",
            quantity=FORWARD_VELOCITY,
            at_least=WALKING_SPEED_M_S,
            hold_s=HOLD_S,
            mean_s=MEAN_S,
        ),
    ),
    figures=(
        Figure(
            quantity=FORWARD_VELOCITY,
            name="forward speed",
            short="forward",
            unit="m/s",
            did="went forward at",
            source="odometry",
            signed=True,
            plot_range=(-0.2, 1.0),
            level=Level(value=WALKING_SPEED_M_S, words="walking"),
        ),
    ),
    # A fall is the way from nearly upright to a trunk on its side.
    occurrences=(Occurrence(did="fell", quantity="info/up_z", start=0.7, to=0.0),),
    may_be_constant=("joint_target",),
    # A first roll takes one to three.
    verdict_minutes=10.0,
)
"""Sessions of before presentations were kept are told by it."""
