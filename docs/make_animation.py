"""Draws the twin at a few moments of a recorded session, side by side:

    python docs/make_animation.py SESSION --minutes 0 2 6 --out docs/images/learning.gif

The session of a robot can be drawn as well as that of a twin: nothing but the experience log is read. Joint angles,
attitude and turning rates are those that were measured. Heading and place are not observed; they are added up from
the gyroscope and the odometry, and the height is such that the lowest part touches the floor.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image

from daydreamer.config import TwinConfig
from daydreamer.errors import UserError
from daydreamer.report.film import side_by_side, with_caption
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.replayed import replayed_measurement
from daydreamer.robots.quadruped.skeleton import level_rotation
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.telemetry.columns import StepColumns, read_columns
from sim.twin import Twin

VELOCITY = ("forward_velocity_m_s", "lateral_velocity_m_s", "vertical_velocity_m_s")
FLOOR = 0
"""Index of the geom."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path, help="session directory")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.0, 2.0, 6.0], help="where each scene begins")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each scene")
    parser.add_argument("--size", type=int, nargs=2, default=(280, 210), metavar=("WIDTH", "HEIGHT"), help="of a scene")
    parser.add_argument("--colours", type=int, default=48, help="of a GIF, at most 256; fewer make a smaller file")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".gif or .webp")
    options = parser.parse_args(arguments)
    try:
        if options.out.suffix not in (".gif", ".webp"):
            raise UserError(f"{options.out} would be no animation; choose a name that ends in .gif or .webp.")
        session = Session.open(options.session)
        frames = animate(session, options.minutes, options.seconds, options.size)
    except UserError as error:
        sys.exit(f"make_animation: {error}")
    content = encode(frames, session.spec.control_period_s, options.out.suffix, options.colours)
    options.out.write_bytes(content)
    print(f"{options.out}: {len(frames)} frames of {frames[0].width}x{frames[0].height}, {len(content) / 1e6:.2f} MB")


def animate(session: Session, minutes: Sequence[float], seconds: float, size: tuple[int, int]) -> list[Image.Image]:
    """One picture for each control step, with a scene for each of `minutes`.

    Raises:
      UserError: the robot has no twin, a scene is not in the log, or there is no working OpenGL.
    """
    steps = read_columns(session, images=False)
    rate_hz = session.spec.control_rate_hz
    twin = find_robot(session.spec.robot).make_twin(TwinConfig(), seed=0)
    try:
        scenes = []
        for minute in minutes:
            rows = np.arange(round(seconds * rate_hz)) + round(60.0 * minute * rate_hz)
            if rows[-1] >= len(steps):
                raise UserError(f"A scene from minute {minute:g} on is not in the log: it has {len(steps)} steps.")
            text = caption(steps, rows, minute)
            scenes.append([with_caption(image, text) for image in draw_scene(twin, steps, rows, size)])
    finally:
        twin.close()
    return [side_by_side(list(images)) for images in zip(*scenes, strict=True)]


def caption(steps: StepColumns, rows: np.ndarray, minute: float) -> str:
    """Published reward and forward speed of a scene, both the mean."""
    reward, speed = (steps.info[name][rows].mean() for name in ("published_reward", "forward_velocity_m_s"))
    return f"robot minute {minute:g}: reward {reward:.1f}, {speed:+z.2f} m/s"


def draw_scene(twin: Twin, steps: StepColumns, rows: np.ndarray, size: tuple[int, int]) -> list[Image.Image]:
    """Pictures of consecutive steps; the robot heads to the right at first."""
    robot = A1
    images, rotation, position_m, turning_rad_s = [], None, np.zeros(2), np.zeros(3)
    period_s = steps.robot_s[1] - steps.robot_s[0]
    for row in rows:
        observation = {key: values[row] for key, values in steps.observation.items()}
        measured = replayed_measurement(robot, observation, steps.robot_s[row])
        up = np.asarray(observation["gravity_up"], np.float64)
        if rotation is None:
            rotation = level_rotation(up)
        else:
            mean_rad_s = (turning_rad_s + measured["angular_velocity_rad_s"]) / 2
            rotation = upright_as_measured(rotation @ turn(mean_rad_s * period_s), up)
            velocity_m_s = np.array([steps.info[name][row] for name in VELOCITY])
            position_m = position_m + (rotation @ velocity_m_s)[:2] * period_s
        turning_rad_s = measured["angular_velocity_rad_s"]
        put_down(twin, position_m, rotation, measured["joint_position_rad"])
        images.append(Image.fromarray(twin.render(height=size[1], width=size[0])))
    return images


def put_down(twin: Twin, position_m: np.ndarray, rotation: np.ndarray, joint_position_rad: np.ndarray) -> None:
    """Sets the twin's pose, its lowest part on the floor.

    Args:
      position_m: `[2]` of base_link.
      rotation: `[3, 3]` from base_link to the world.
      joint_position_rad: `[12]`.
    """
    pose = twin.data.qpos
    pose[:2], pose[2], pose[7:] = position_m, 0.0, joint_position_rad
    mujoco.mju_mat2Quat(pose[3:7], np.ascontiguousarray(rotation).ravel())
    mujoco.mj_kinematics(twin.model, twin.data)
    pose[2] = -lowest_m(twin)
    mujoco.mj_forward(twin.model, twin.data)


def lowest_m(twin: Twin) -> float:
    """Height of the lowest point of the robot, which is made of capsules along their z axis, and of spheres."""
    model, data = twin.model, twin.data
    radius_m = model.geom_size[:, 0]
    half_length_m = np.where(model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE, model.geom_size[:, 1], 0.0)
    axis_z = data.geom_xmat.reshape(-1, 3, 3)[:, 2, 2]
    return float(np.delete(data.geom_xpos[:, 2] - half_length_m * np.abs(axis_z) - radius_m, FLOOR).min())


def turn(rotation_vector_rad: np.ndarray) -> np.ndarray:
    """`[3, 3]` of a rotation vector `[3]`."""
    angle = float(np.linalg.norm(rotation_vector_rad))
    quaternion, matrix = np.zeros(4), np.zeros(9)
    mujoco.mju_axisAngle2Quat(quaternion, rotation_vector_rad / max(angle, 1e-12), angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def upright_as_measured(rotation: np.ndarray, up: np.ndarray) -> np.ndarray:
    """`rotation` `[3, 3]`, turned by the smallest angle after which the world's up in base_link is `up` `[3]`."""
    expected, up = rotation[2], up / np.linalg.norm(up)
    axis = np.cross(up, expected)
    sine = float(np.linalg.norm(axis))
    angle = math.atan2(sine, float(up @ expected))
    return rotation @ turn(axis / max(sine, 1e-12) * angle)


def encode(frames: list[Image.Image], period_s: float, suffix: str, colours: int) -> bytes:
    """An animation that repeats for ever, as fast as the robot was."""
    if suffix == ".gif":
        # One palette for all: with one each the background would flicker.
        palette = side_by_side([frames[0], frames[-1]]).quantize(colours)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    first, *rest = frames
    first.save(buffer, suffix[1:].upper(), save_all=True, append_images=rest, duration=round(1e3 * period_s), loop=0)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
