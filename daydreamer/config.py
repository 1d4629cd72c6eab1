"""The configuration of a session: typed, frozen, saved whole in `session.yaml`; a misspelt key is an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from daydreamer.errors import UserError

# Every number has a range, at both ends: beyond it lies what nobody means, and what is not finite is never meant.
# msgspec checks them wherever a configuration is read.
RhythmHz = Annotated[float, Meta(gt=0.0, le=100.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0, le=1e6)]
NotNegative = Annotated[float, Meta(ge=0.0, le=1e6)]
Signed = Annotated[float, Meta(ge=-1e6, le=1e6)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
CountFrom0 = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Layers = Annotated[int, Meta(ge=0, le=64)]
Width = Annotated[int, Meta(ge=1, le=65_536)]
Latency = Annotated[float, Meta(ge=0.0, le=1.0)]
ControlTime = Annotated[float, Meta(ge=0.01, le=5.0)]
"""Seconds within which a control loop has to notice something; less is noise, and more is too late for a robot."""
Period = Annotated[float, Meta(ge=0.01, le=86_400.0)]
"""Seconds, of what is done again and again or waited for."""


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class RandomisationConfig(_Config):
    """Domain randomisation of the twin: what is not known of a robot, drawn once from the session's seed.

    Every (low, high) is the range of a uniform distribution.

    Attributes:
      enabled: draw; otherwise the twin has the published figures.
      mass_scale: of every body, independently; inertias scale with the masses.
      payload_kg: point mass on the trunk.
      payload_offset_m: where on the trunk it lies, forward and left independently.
      friction: sliding friction coefficient of the feet on the floor.
      motor_strength: of every motor, independently: share of the wanted torque that it gives.
      command_latency_s: in place of `twin.command_latency_s`.
      noise_scale: of all sensor noise together.
    """

    enabled: bool = False
    mass_scale: tuple[NotNegative, NotNegative] = (0.9, 1.1)
    payload_kg: tuple[NotNegative, NotNegative] = (0.0, 1.0)
    payload_offset_m: tuple[Signed, Signed] = (-0.05, 0.05)
    friction: tuple[NotNegative, NotNegative] = (0.4, 1.0)
    motor_strength: tuple[NotNegative, NotNegative] = (0.85, 1.05)
    command_latency_s: tuple[Latency, Latency] = (0.0, 0.02)
    noise_scale: tuple[NotNegative, NotNegative] = (0.5, 2.0)


class DistractorConfig(_Config):
    """What the twin's cameras see besides, and no task is about; nothing runs into it, and no other sensor feels it.

    Attributes:
      bodies: so many coloured ones wander about.
      light: by what share of itself it brightens and dims, within minutes; its colour drifts a little with it.
      floor: another one; null keeps the robot's own.
    """

    bodies: Annotated[int, Meta(ge=0, le=16)] = 0
    light: Annotated[float, Meta(ge=0.0, le=0.6)] = 0.0
    floor: Literal["wood", "carpet", "checks"] | None = None


class IncidentConfig(_Config):
    """One thing that goes wrong with the twin; the kinds and what they take are in `sim.incidents.KINDS`.

    Attributes:
      kind: as 'push'.
      start_s: robot time of the twin process at which it begins.
      duration_s: None takes the kind's own.
      magnitude: in the kind's unit; None takes the kind's own.
      target: joint, leg, or two joints separated by a space; None lets the seed choose.
    """

    kind: str
    start_s: NotNegative
    duration_s: NotNegative | None = None
    magnitude: Signed | None = None
    target: str | None = None


class TwinConfig(_Config):
    """The MuJoCo twin and the motor driver it models.

    Attributes:
      physics_timestep_s: MuJoCo step; the driver's PD loop runs once per step.
      state_rate_hz: how often the twin node publishes its state.
      stiffness_n_m_rad: PD position gain of every joint.
      damping_hip_n_m_s_rad, damping_upper_n_m_s_rad, damping_lower_n_m_s_rad: PD velocity gains.
      max_target_error_rad: the driver keeps a target this close to the measured angle.
      interpolate_s: the driver moves linearly from the last target to a new one in this time.
      command_latency_s: from the arrival of a command to its effect.
      command_timeout_s: without a command for this long the driver damps; 0 models a driver that holds
        the last command for ever.
      joint_position_noise_rad, joint_velocity_noise_rad_s, orientation_noise_rad,
      angular_velocity_noise_rad_s, linear_acceleration_noise_m_s2: standard deviations of white noise.
      camera: render a 64x64 egocentric image; needs a working GL.
      extra_cameras: beside the robot's usual cameras, those of these names that its folder has, as [wrist]; the
        SO-101's policy sees them, too, on hardware as well.
      initial_state: how the world begins, of those that the robot's folder has; null takes the first.
      attended_s: after how long somebody puts back what the robot has lost out of its reach, as the SO-101's cube, and
        lays elsewhere what it has not moved in twice as much time of moving; 0 for a robot that is left alone.
      randomisation: see `RandomisationConfig`.
      distractors: see `DistractorConfig`; of twins whose folder says where they may be.
      incidents: what goes wrong and when, as --set twin.incidents='[{kind: push, start_s: 30}]'.
      random_incidents_per_minute: mean rate at which incidents of any kind begin, at random; one at a time.
    """

    physics_timestep_s: Annotated[float, Meta(ge=1e-5, le=0.02)] = 0.002
    state_rate_hz: Annotated[float, Meta(ge=1.0, le=2000.0)] = 100.0
    stiffness_n_m_rad: NotNegative = 80.0
    damping_hip_n_m_s_rad: NotNegative = 1.0
    damping_upper_n_m_s_rad: NotNegative = 2.0
    damping_lower_n_m_s_rad: NotNegative = 2.0
    max_target_error_rad: Positive = 0.2
    interpolate_s: Latency = 0.05
    command_latency_s: Latency = 0.004
    command_timeout_s: Annotated[float, Meta(ge=0.0, le=60.0)] = 0.25
    joint_position_noise_rad: NotNegative = 0.002
    joint_velocity_noise_rad_s: NotNegative = 0.05
    orientation_noise_rad: NotNegative = 0.005
    angular_velocity_noise_rad_s: NotNegative = 0.02
    linear_acceleration_noise_m_s2: NotNegative = 0.1
    camera: bool = False
    extra_cameras: Annotated[tuple[Name, ...], Meta(max_length=8)] = ()
    initial_state: Name | None = None
    attended_s: Annotated[float, Meta(ge=0.0, le=3600.0)] = 90.0
    randomisation: RandomisationConfig = RandomisationConfig()
    distractors: DistractorConfig = DistractorConfig()
    incidents: tuple[IncidentConfig, ...] = ()
    random_incidents_per_minute: NotNegative = 0.0


class PlanConfig(_Config):
    """Planning at act time: the policy tries variations of its next actions in the world model, see `policy.planning`.

    Attributes:
      samples: rollouts that are imagined at once; 0 acts by the policy alone.
      horizon_s: how far each goes; the critic says what comes after.
      iterations: how often; each but the first varies what the one before has found.
      spread: of the variations, in units of the policy's own deviation.
      temperature: how much better a rollout must be to count, in units of the returns' deviation; small takes the best.
      exploration: share of the noise that the policy acts with that is added to what has been planned.
      budget_ms: live, from the policy's own action: a plan that takes longer is not waited for, and the policy's own
        action is carried out. In lock-step robots wait.
    """

    samples: Annotated[int, Meta(ge=0, le=65_536)] = 0
    horizon_s: Annotated[float, Meta(ge=0.01, le=10.0)] = 0.25
    iterations: Annotated[int, Meta(ge=1, le=16)] = 1
    spread: Annotated[float, Meta(gt=0.0, le=10.0)] = 1.0
    temperature: Annotated[float, Meta(ge=0.01, le=100.0)] = 1.0
    exploration: Share = 1.0
    budget_ms: Annotated[float, Meta(ge=1.0, le=1000.0)] = 25.0


PictureFormat = Literal["raw", "png", "jpeg"]


class ActorConfig(_Config):
    """The control loop.

    Attributes:
      low_pass_cutoff_hz: Butterworth, second order, on the joint targets; 0 switches it off.
      state_timeout_s: a state older than this is stale: hold the last pose.
      image_timeout_s: a picture older than this is stale, of a camera for which the robot's folder has no limit: hold
        the last pose. A camera has a rate of its own, and the policy sees the newest picture until there is another.
      damp_timeout_s: a state older than this: damp the joints.
      random_s: robot time from the session's start in which actions are random.
      random_hold_s: each of them is held this long, because white noise hardly gets through the low-pass filter.
      fallen_reward: while the mean reward of the last second is below, the robot has fallen, and motions that have
        helped before, or random ones, take turns with the policy, see `Explorer`; null leaves it to the policy.
      recovered_reward: the same mean from which on a motion has helped.
      restart_timeout_s: what the robot does by itself to begin an episode may take this long; then the
        episode begins all the same.
      rhythm_hz: lowest and highest frequency of the rhythms that a standing robot tries, see `Rhythms`; null for none.
        Of an A1's random ones, 22 % walk between 1.4 and 2.5 Hz, 10 % between 0.6 and 1.4 Hz.
      rhythm_s: robot time from the session's start, after which no rhythm is tried any more.
      rhythm_until_reward: the policy's mean reward of late from which on no rhythm is begun, and none before it has
        been on its feet for 30 s: for a policy that has learned something elsewhere. null asks only whether rhythms
        do better than it.
      draws_wishes: what a task is told by somebody, as a speed, is drawn at random while nobody says so; false has the
        robot stand meanwhile, as in `play`.
      fsync_period_s: a power loss costs at most this much experience; a crash costs none.
      log_roll_bytes: an experience log that has become this large is followed by another one, as of the next actor
        life, when the episode ends. 256 MiB is some 8 hours of vectors or a quarter of an hour with a camera whose
        pictures are raw; viewers refuse or struggle with files that are several times as large.
      picture_format: how the log holds pictures: 'raw', 'png', the same to the bit in half of the space, or 'jpeg',
        nearly the same in a fifth, and then this is learned from, while the policy sees the pixels themselves: with
        `model.hues`, what is measured differs a little between the two. To compress one of 64x64 pixels takes up to
        about a millisecond before the command is sent, larger ones in proportion.
      jpeg_quality: 1 to 100; colours are kept at full resolution.
      snapshot_poll_s: how often the loader looks for a new policy.
      teacher_after_s: in lock-step, of a task that has a scripted teacher: an episode that has paid nothing, no reward
        above 0, for so long is stuck, and the teacher intervenes, as an operator would; null for nobody.
      teacher_s: how long it then acts before the policy does again; null until the episode ends.
      plan: see `PlanConfig`.
    """

    low_pass_cutoff_hz: Annotated[float, Meta(ge=0.0, le=1000.0)] = 3.0
    state_timeout_s: ControlTime = 0.2
    image_timeout_s: Annotated[float, Meta(ge=0.05, le=60.0)] = 1.0
    damp_timeout_s: ControlTime = 1.0
    random_s: NotNegative = 50.0
    random_hold_s: Positive = 1.0
    fallen_reward: Signed | None = None
    recovered_reward: Signed = 0.0
    restart_timeout_s: Period = 60.0
    rhythm_hz: tuple[RhythmHz, RhythmHz] | None = None
    rhythm_s: NotNegative = 300.0
    draws_wishes: bool = True
    rhythm_until_reward: Signed | None = None
    fsync_period_s: Period = 1.0
    log_roll_bytes: Annotated[int, Meta(ge=1, le=1 << 50)] = 1 << 28
    picture_format: PictureFormat = "raw"
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 95
    snapshot_poll_s: Period = 0.25
    teacher_after_s: Period | None = None
    teacher_s: Period | None = None
    plan: PlanConfig = PlanConfig()


WatchdogAction = Literal["warn", "hold", "damp"]
LatchingWatchdog = Literal[
    "state_lost",
    "image_stale",
    "loop_overrun",
    "suspended",
    "over_speed",
    "over_temperature",
    "battery_low",
    "joint_outside",
    "encoder_stuck",
    "joint_not_following",
    "joint_blocked",
    "imu_inconsistent",
    "implausible",
    "commanded_by_others",
]


class SafetyConfig(_Config):
    """What stands between the policy and the robot, beside the robot's own limits; see docs/safety.md.

    `actor.state_timeout_s` and `actor.damp_timeout_s` are the thresholds of the watchdogs 'state_stale' (hold) and
    'state_lost' (damp); `actor.damp_timeout_s` is also how long the control loop may stand still before another thread
    damps the joints.

    Attributes:
      ramp_pose: of the named poses in the robot's folder: where every activation moves it first.
      ramp_speed_rad_s: of the joint that has farthest to go, on the average of the ramp.
      loop_gap_s: between two ticks; after a longer one the command departs from the measured pose ('loop_overrun').
      command_late_s: from the tick to its command ('command_late' after command_late_count in a row).
      command_late_action, learner_silent_action, policy_old_action: 'warn', 'hold' or 'damp'.
      learner_silent_s: without a sign of life of a learner that has been at work ('learner_silent'); one that starts
        has as long as `walk` gives it, see `learner.silence_timeout_s`.
      policy_old_s: without a newer policy ('policy_too_old').
      over_speed_s: measured joint speeds above the robot's limit for this long damp ('over_speed').
      encoder_stuck_s: without any change of a joint's angle that should change ('encoder_stuck'). Encoders whose steps
        are larger than a standing robot's tremor need longer.
      not_following_s: that a joint is farther from its command than its motor's full torque explains, while the robot
        is upright, not lying on its legs, or while half of all joints are ('joint_not_following'); of an arm that is
        led by its vendor's controller, farther than that ever lets it lag.
      blocked_s: the same of any joint, however the robot lies ('joint_blocked').
      imu_tilt_rad, imu_bias_rad_s: difference of the mean orientation from accelerometer and gyroscope
        ('imu_inconsistent').
      encoder_stuck_action, not_following_action, blocked_action, imu_action, implausible_action: 'warn', 'hold' or
        'damp'; the last of what the checks find that the robot's folder brings.
      trips, trips_window_s: a watchdog that has held or damped the robot this often within this time has done so for
        good: an operator has to look, and to resume.
      latching: watchdogs that do so the first time, by name.
    """

    ramp_pose: Name = "rest"
    ramp_speed_rad_s: Annotated[float, Meta(ge=0.05, le=5.0)] = 1.0
    loop_gap_s: ControlTime = 0.2
    command_late_s: ControlTime = 0.05
    command_late_count: Annotated[int, Meta(ge=1, le=1000)] = 3
    command_late_action: WatchdogAction = "warn"
    learner_silent_s: Annotated[float, Meta(ge=0.1, le=86_400.0)] = 30.0
    learner_silent_action: WatchdogAction = "warn"
    policy_old_s: Annotated[float, Meta(ge=0.1, le=86_400.0)] = 60.0
    policy_old_action: WatchdogAction = "warn"
    over_speed_s: ControlTime = 0.2
    encoder_stuck_s: Annotated[float, Meta(ge=0.05, le=600.0)] = 0.5
    encoder_stuck_action: WatchdogAction = "damp"
    not_following_s: Annotated[float, Meta(ge=0.05, le=600.0)] = 4.0
    not_following_action: WatchdogAction = "warn"
    blocked_s: Annotated[float, Meta(ge=0.05, le=600.0)] = 30.0
    blocked_action: WatchdogAction = "warn"
    imu_tilt_rad: Annotated[float, Meta(gt=0.0, le=3.2)] = 0.25
    imu_bias_rad_s: Annotated[float, Meta(gt=0.0, le=10.0)] = 0.25
    imu_action: WatchdogAction = "warn"
    implausible_action: WatchdogAction = "hold"
    trips: Annotated[int, Meta(ge=1, le=1000)] = 20
    trips_window_s: Annotated[float, Meta(ge=1.0, le=86_400.0)] = 120.0
    latching: tuple[LatchingWatchdog, ...] = ("commanded_by_others",)


class ModelConfig(_Config):
    """Sizes of the networks (DreamerV3, Hafner et al. 2023, names written out).

    Raises ValueError for sizes or deviations that do not fit each other; where a configuration is read, a UserError.

    Attributes:
      deterministic: width of the recurrent state.
      blocks: of the block-diagonal recurrent layer.
      hidden: width of the projections inside the recurrent state-space model.
      stochastic, classes: number of categorical latents and choices of each.
      units: width of encoder, heads, prediction of the vectors, actor and critic.
      encoder_layers, head_layers, actor_layers, critic_layers: hidden layers.
      patch_units: width of the layer that sees an image's patches of 8x8 pixels.
      image_units: width of those that merge four neighbours into one, and of the embedding of an image.
      image_loss: what the model learns images by: 'pixels' draws them again; 'barlow' predicts their embedding, each
        number of which is to say something of its own (see `codecs.redundancy_loss`), and draws them for the eye only;
        'none' sees nothing of them but hues, for two fifths of the time, and draws them for the eye, too.
      hues: where in each picture six hues are, and how much of each, counts as measured, see `hues.hue_places`: for
        small things of a colour of their own.
      memory: of what was before the newest measurement. Without, the recurrent state is what was measured and done one
        step before, and nothing else; reward and continuation are expected of that. What has happened a few times
        only, as an arm's grasps, a recurrent state learns by heart, and nothing of it is true of what comes next.
      acts_on_recurrent_state: actor and critic see the recurrent state and the latents, too, instead of the vectors
        alone; with a camera and memory they always do, see `WorldModel.behavior_features`.
      bins, bin_limit: of the two-hot reward and critic: how many, an odd number, so that the middle one is 0, and the
        symlog of the largest value they can state; 10 reaches 22,000. A far larger one makes a probability of 1e-7 on
        the last bin move the mean.
      unimix: share of the uniform distribution in every categorical.
      minimum_deviation, maximum_deviation, initial_deviation: of the actor's normal distribution over continuous
        actions, before squashing.
      noise_correlation: of the actor's noise between two control steps. White noise is lost in the low-pass filter of
        the commands, so that the robot would hardly explore. Imagined actions have it, too, unless
        learner.actor_gradient is 'reinforce'.
      acting_noise: how much of the actor's deviation the robot acts with; imagined actions always have all of it. Of
        discrete actions 0 takes the likeliest, and all else draws.
    """

    deterministic: Width = 256
    blocks: Width = 4
    hidden: Width = 128
    stochastic: Width = 8
    classes: Width = 8
    units: Width = 128
    encoder_layers: Layers = 2
    head_layers: Layers = 1
    actor_layers: Layers = 2
    critic_layers: Layers = 2
    patch_units: Width = 64
    image_units: Width = 128
    image_loss: Literal["pixels", "barlow", "none"] = "pixels"
    hues: bool = False
    memory: bool = True
    acts_on_recurrent_state: bool = False
    bins: Annotated[int, Meta(ge=3, le=65_536)] = 127
    bin_limit: Annotated[float, Meta(gt=0.0, le=80.0)] = 10.0
    unimix: Share = 0.01
    minimum_deviation: Positive = 0.03
    maximum_deviation: Positive = 1.0
    initial_deviation: Positive = 0.2
    noise_correlation: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.9
    acting_noise: NotNegative = 1.0

    def __post_init__(self) -> None:
        if self.deterministic % self.blocks:
            raise ValueError(f"model.deterministic={self.deterministic} is not a multiple of blocks={self.blocks}")
        if self.bins % 2 == 0:
            raise ValueError(f"model.bins={self.bins} is even; one of them, the middle one, has to be 0")
        deviations = (self.minimum_deviation, self.initial_deviation, self.maximum_deviation)
        if not deviations[0] < deviations[1] < deviations[2]:
            raise ValueError(
                "model.minimum_deviation < initial_deviation < maximum_deviation does not hold: "
                + ", ".join(f"{deviation:g}" for deviation in deviations)
            )


STARTING_PATIENCE = 5.0
"""A learner that starts, which compiles, may be silent for this many times as long as one at work."""


_RETIRED_MODEL_SETTINGS = ("convolution_depth",)
"""Settings that `ModelConfig` had; they said nothing but of cameras."""


def drop_retired(model: MutableMapping[str, Any]) -> None:
    """Takes settings that there are no more out of the plain values of a `ModelConfig` of an earlier version."""
    for name in _RETIRED_MODEL_SETTINGS:
        model.pop(name, None)


class LearnerConfig(_Config):
    """World model and behaviour training.

    Raises ValueError for numbers that do not fit each other; where a configuration is read, a UserError.

    Attributes:
      batch_size, batch_length: sequences per batch and steps per sequence.
      train_ratio: ceiling on replayed steps per environment step; there is no floor. With 0 nothing is learned.
      updates_per_dispatch: gradient steps in one program on the device, for GPUs, which otherwise wait for whoever
        dispatches; nothing is gained on a CPU.
      minimum_s: training starts when so much robot time has been experienced.
      replay_capacity: steps; the oldest go first.
      replay_bytes: memory that they may take; where images are large there are fewer of them, see `replay.affordable`.
      recent_share: of the replayed sequences that is drawn from the newest recent_s alone; the others are
        drawn from all. A robot that begins to fall in a new way thus learns to avoid it within a minute, not ten.
      inherited_share: of the replayed sequences that is drawn, in a session that began with another's networks
        (`--from`), from that one's experience; at the beginning, from where it falls evenly to 0.
      inherited_fade_s: robot time in which it does so: what happened to another robot is better than little, and worse
        than enough of one's own.
      demonstration_share: of the replayed sequences that is drawn from demonstrations (`--demonstrations`), from the
        first gradient step to the last: what was shown well stays worth imitating.
      mirror: half of the replayed sequences are mirror images, if the robot is symmetric.
      hindsight_share: of the replayed sequences, of a task in which something is wished for, that are replayed as if
        what the robot did had been the wish.
      image_shift: pixels by which the images of a replayed sequence are moved at random, up or down and left or right,
        all of them alike (DrQ, Yarats et al. 2021); 0 leaves them where they are.
      imagination_starts: posterior states per batch from which to imagine, drawn without replacement.
      imagination_horizon: imagined steps from each start.
      continued_share: share of the starts where dreams of the last gradient step ended, and not where the robot was: of
        each as likely as its future counts. Without them a critic never sees what the policy comes to after
        `imagination_horizon`, which matters where no robot shows it. 0 while a robot does; 0.5 with `--from-logs`, and
        for wishes that are trained.
      imagination_noise: how much of what the model does not foresee of the measurements disturbs them in imagination;
        0 imagines a world without it, 1 one as it is, and more one that asks for caution.
      imagination_scale: weight of what actor and critic learn in imagination; 0 leaves them what really happened. To
        compare with 0, fix the deviation of the actions in both, as minimum_deviation=0.0599, maximum_deviation=0.0601,
        initial_deviation=0.06: nothing else changes it then.
      actor_gradient: 'dynamics' differentiates the imagined returns through the world model (continuous
        actions only); 'reinforce' uses the score function.
      discount, return_lambda: of the lambda return.
      entropy_scale: first weight of the actor's entropy, in units of normalised return.
      entropy_target, entropy_rate: the weight rises while the actor's randomness is below the target, and falls
        above it; randomness is 1 for uniform actions and 0 at the minimum deviation.
      open_loop_share: share of replayed steps at which the model goes on from its own prediction, see `rssm.observe`.
      free_nats: KL below this is not penalised.
      imitation_scale: weight of imitating replayed actions that led to more than the critic expected, see
        `ActorCritic.imitation_loss`.
      plan_imitation_scale: weight of imitating what the policy and its plans have carried out, whatever it led to, see
        `ActorCritic.plan_imitation_loss`; meant for sessions with `actor.plan`.
      shown_scale: weight of imitating what somebody has shown, in demonstrations or by intervening, whatever it led to,
        see `ActorCritic.shown_loss`.
      cloning_scale: weight of imitating all replayed actions, whoever chose them and whatever they led to: behaviour
        cloning, to compare with.
      members: small models beside the world model, none or from 2 on, which predict the next vectors, each with weights
        of its own; where they disagree nothing is known, see `models.members`. 0 without `--from-logs`, 5 with it.
      guard_scale: what it costs in imagination to go where members disagree, for each time as much again as usual, in
        units of the deviation of the rewards: an actor otherwise learns to go where the model is wrong.
      dynamics_scale, representation_scale, vector_scale, reward_scale, continue_scale,
      replay_value_scale: loss weights.
      image_scale: weight of drawing the images; one of 128 counts an image as much as 128 numbers that are measured.
      barlow_scale: weight of predicting the embedding of the images instead, see `ModelConfig.image_loss`.
      learning_rate: of the world model; actor_learning_rate, critic_learning_rate of the behaviour.
      warmup_updates: the learning rates rise linearly over this many.
      actor_delay_updates: the actor learns only after so many; a model that knows nothing yet would lead it astray.
      gradient_clip: adaptive gradient clipping, gradient norm over parameter norm.
      gradient_explosion: an update whose gradient norm is this many times the usual one is skipped, as one that is
        not finite.
      fall_back_updates: after this many skipped updates in a row the learner goes back to its last good checkpoint.
      slow_critic_rate: per update towards the critic.
      return_rate: per update of the mean reward and the return percentiles.
      publish_period_s, checkpoint_period_s, metrics_period_s: wall time between.
      keep_policy_s: beside the ten newest policies the last one of each stretch of so much robot time stays, so that
        the best can still be found when the robot has become worse; 0 keeps none. See `prune_snapshots`.
      silence_timeout_s: a learner that has not reported for this long hangs; `walk` kills it and starts another. It is
        given five times as long to start, which includes compiling.
      dream_period_s: wall time between two open-loop predictions of what has just happened, which show whether the
        model is any good; 0 makes none. Each costs about as much as a tenth of a gradient step.
      dream_context_s, dream_horizon_s: what such a prediction is given to see, and how far it goes on from there.
      lockstep_publish_updates: in `daydreamer train`, updates between two policies of the actor.
      devices: GPUs among which each batch is divided; divides batch_size and imagination_starts. 0 takes as many as
        there are and divide both. It changes no loss by more than rounding does; whether it is faster, see
        docs/learning.md.
    """

    batch_size: Count = 16
    batch_length: Annotated[int, Meta(ge=2, le=1_000_000_000)] = 32
    train_ratio: NotNegative = 144.0
    updates_per_dispatch: Count = 1
    minimum_s: NotNegative = 50.0
    replay_capacity: Count = 200_000
    replay_bytes: Annotated[int, Meta(ge=1, le=1 << 50)] = 1 << 30
    recent_share: Share = 0.5
    recent_s: Positive = 120.0
    inherited_share: Annotated[float, Meta(ge=0.0, le=0.75)] = 0.0
    inherited_fade_s: Positive = 300.0
    demonstration_share: Annotated[float, Meta(ge=0.0, le=0.75)] = 0.0
    mirror: bool = True
    hindsight_share: Share = 0.5
    image_shift: Annotated[int, Meta(ge=0, le=64)] = 0
    imagination_starts: Count = 192
    imagination_horizon: Count = 5
    continued_share: Share = 0.0
    imagination_noise: NotNegative = 2.0
    imagination_scale: NotNegative = 1.0
    actor_gradient: Literal["dynamics", "reinforce"] = "dynamics"
    discount: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.99
    return_lambda: Share = 0.95
    entropy_scale: NotNegative = 3e-2
    entropy_target: Share = 0.2
    entropy_rate: NotNegative = 0.1
    open_loop_share: Share = 0.5
    free_nats: NotNegative = 1.0
    dynamics_scale: NotNegative = 1.0
    representation_scale: NotNegative = 0.1
    vector_scale: NotNegative = 1.0
    image_scale: NotNegative = 128.0
    barlow_scale: NotNegative = 0.05
    reward_scale: NotNegative = 5.0
    continue_scale: NotNegative = 1.0
    replay_value_scale: NotNegative = 1.0
    imitation_scale: NotNegative = 3.0
    plan_imitation_scale: NotNegative = 0.0
    shown_scale: NotNegative = 0.0
    cloning_scale: NotNegative = 0.0
    members: Annotated[int, Meta(ge=0, le=64)] = 0
    guard_scale: NotNegative = 1.0
    learning_rate: NotNegative = 1e-3
    actor_learning_rate: NotNegative = 1e-3
    critic_learning_rate: NotNegative = 1e-3
    warmup_updates: CountFrom0 = 100
    actor_delay_updates: CountFrom0 = 250
    gradient_clip: NotNegative = 0.3
    gradient_explosion: Annotated[float, Meta(gt=1.0, le=1e6)] = 1000.0
    fall_back_updates: Count = 20
    slow_critic_rate: Share = 0.1
    return_rate: Share = 0.01
    publish_period_s: Period = 5.0
    checkpoint_period_s: Period = 60.0
    metrics_period_s: Period = 5.0
    keep_policy_s: Annotated[float, Meta(ge=0.0, le=86_400.0)] = 60.0
    silence_timeout_s: Period = 120.0
    dream_period_s: Annotated[float, Meta(ge=0.0, le=86_400.0)] = 10.0
    dream_context_s: Period = 1.0
    dream_horizon_s: Period = 2.5
    lockstep_publish_updates: Count = 1
    devices: Annotated[int, Meta(ge=0, le=1024)] = 1

    def __post_init__(self) -> None:
        positions = self.batch_size * self.batch_length
        if self.imagination_starts > positions:
            raise ValueError(
                f"learner.imagination_starts={self.imagination_starts} exceeds the {positions} states of a batch, "
                f"batch_size={self.batch_size} times batch_length={self.batch_length}"
            )
        if self.devices and (self.batch_size % self.devices or self.imagination_starts % self.devices):
            raise ValueError(
                f"learner.devices={self.devices} does not divide both batch_size={self.batch_size} and "
                f"imagination_starts={self.imagination_starts}"
            )
        if self.members == 1:
            raise ValueError("learner.members=1 has nobody to disagree with; it is 0 or from 2 on")

    @property
    def replays_others(self) -> bool:
        """Whether a share of what is replayed is of other sessions."""
        return self.inherited_share > 0.0 or self.demonstration_share > 0.0


class SuccessConfig(_Config):
    """What says that a task has been done, where it is not the task's own rule.

    Attributes:
      classifier: file that 'daydreamer label --train' wrote, which then pays in the place of that rule; '' leaves it to
        the rule.
      sha256: of that file's content, written down when a session begins: with another one it does not go on.
    """

    classifier: Annotated[str, Meta(max_length=4096)] = ""
    sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""


Body = Literal["twin", "hardware"]
"""What a robot learns in: its MuJoCo twin, or itself, over ROS 2."""


class SessionConfig(_Config):
    """Everything a session was run with.

    Attributes:
      robot: who learns, see `daydreamer robots`.
      task: what it learns.
      body: 'twin' or 'hardware'.
      preset: named overrides that live with the robot.
      seed: of exploration, networks, batches and the twin.
      minutes: robot time of the whole session.
      ros_domain_id: ROS 2 domain of the session's nodes; -1 takes ROS_DOMAIN_ID or 0.
    """

    robot: Name = "a1"
    task: Name = "walk"
    body: Body = "twin"
    preset: str = "default"
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 0
    minutes: Positive = 60.0
    ros_domain_id: Annotated[int, Meta(ge=-1, le=232)] = -1
    twin: TwinConfig = TwinConfig()
    actor: ActorConfig = ActorConfig()
    safety: SafetyConfig = SafetyConfig()
    success: SuccessConfig = SuccessConfig()
    learner: LearnerConfig = LearnerConfig()
    model: ModelConfig = ModelConfig()


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """Nested dictionary of `section.key=value` strings; a value in brackets or braces is YAML, for lists.

    Raises:
      UserError: an assignment without '=', one that contradicts another, or a list that is not YAML.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        path, separator, value = assignment.partition("=")
        if not separator or not path:
            raise UserError(f"'{assignment}' is not an assignment; write section.key=value, as learner.batch_size=8.")
        *sections, key = path.split(".")
        node = overrides
        for section in sections:
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise UserError(f"'{assignment}' sets a part of '{section}', which is set as a whole before.")
        node[key] = _list_value(assignment, value)
    return overrides


def _list_value(assignment: str, value: str) -> Any:
    if not value.startswith(("[", "{")):
        return value
    return decode_yaml(value, f"The value of '{assignment}'")


def merge(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `update`, section by section."""
    merged = dict(base)
    for key, value in update.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def resolve(*updates: Mapping[str, Any]) -> SessionConfig:
    """The defaults with `updates` applied in order.

    Raises:
      UserError: an unknown key, or a value of the wrong type or out of its range; names the key.
    """
    values = msgspec.to_builtins(SessionConfig())
    for update in updates:
        values = merge(values, update)
    try:
        return msgspec.convert(values, SessionConfig, strict=False)
    except msgspec.ValidationError as error:
        raise UserError(
            f"The configuration is wrong: {_unknown_setting(values) or error}. All keys are in the session.yaml of any "
            "session."
        ) from error


def _unknown_setting(values: Mapping[str, Any]) -> str:
    """The first setting that there is none of, and what may have been meant; empty if there is every one."""
    known = list(_settings(msgspec.to_builtins(SessionConfig())))
    unknown = next((name for name in _settings(values) if not any(_is_part(name, each) for each in known)), "")
    if not unknown:
        return ""
    (nearest,) = difflib.get_close_matches(unknown, known, 1) or [""]
    return f"there is no setting '{unknown}'{nearest and f' (did you mean {nearest}?)'}"


def _settings(values: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Names as `section.key`."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _settings(value, f"{within}{key}.")
        else:
            yield f"{within}{key}"


def _is_part(name: str, known: str) -> bool:
    """Whether it is this setting, or lies within it, as of tables that are empty unless somebody fills them."""
    return name == known or name.startswith(f"{known}.") or known.startswith(f"{name}.")


def encode_yaml(config: msgspec.Struct) -> bytes:
    return msgspec.yaml.encode(msgspec.to_builtins(config))


def load_yaml(path: Path) -> Any:
    """Plain values of a YAML file.

    Raises:
      UserError: it cannot be read, or see `decode_yaml`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        cure = "check its name" if isinstance(error, FileNotFoundError) else "check its permissions"
        raise UserError(f"{path} cannot be read ({error.strerror}); {cure}.") from error
    return decode_yaml(content, str(path))


def decode_yaml(content: bytes | str, name: str) -> Any:
    """Plain values.

    Raises:
      UserError: it is not YAML, or comes to more than any settings of ours would; says so of `name`.
    """
    try:
        _check_extent(content)
        return msgspec.yaml.decode(content)
    # A date that is none, or a list as a key, is raised as it comes.
    except (msgspec.DecodeError, yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{name} is not valid YAML: {error}.") from error


YAML_NODES, YAML_DEPTH = 100_000, 32
"""Bounds on what YAML comes to with all its aliases written out: a few lines can stand for terabytes."""


def _check_extent(content: bytes | str) -> None:
    """Raises ValueError beyond the bounds; values are not made of it yet."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    nodes = 0
    for event in yaml.parse(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes[anchor] = nodes - before
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, yaml.ScalarEvent):
            sizes[event.anchor] = 1
            nodes += 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"alias '{event.anchor}' stands for itself or for nothing")
            nodes += sizes[event.anchor]
        if nodes > YAML_NODES or len(open_nodes) > YAML_DEPTH:
            raise ValueError(f"it has more than {YAML_NODES} values, or {YAML_DEPTH} levels")


def take_unknown(values: Any, struct: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Removes from nested dictionaries the keys that a struct does not have, and yields them, as 'section.key'."""
    if not isinstance(values, dict):
        return
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    for key in list(values):
        name = f"{prefix}{key}"
        if key not in fields:
            del values[key]
            yield name
        elif isinstance(fields[key], type) and issubclass(fields[key], _Config):
            yield from take_unknown(values[key], fields[key], "" if fields[key] is SessionConfig else f"{name}.")
