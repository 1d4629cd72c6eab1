"""Robots unlike a quadruped, for the parts of `sim` that know no robot: a cart on two wheels, and an arm on a table."""

from __future__ import annotations

import math
import pathlib

import numpy as np

from daydreamer.safety.target_stream import TargetStream
from sim.description import Camera, InitialState, Randomised, Sensor, TwinDescription
from sim.motors import PositionMotors, VelocityMotors, speed_targets

WHEEL_RADIUS_M, WHEELBASE_M = 0.033, 0.16

CART = f"""
<mujoco model="cart">
  <option timestep="0.002" integrator="implicitfast"><flag autoreset="disable"/></option>
  <visual><quality shadowsize="0" offsamples="0"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <geom name="floor" type="plane" size="0 0 1" rgba="0.2 0.5 0.2 1"/>
    <geom name="goal" type="box" pos="2 0 0.25" size="0.05 0.5 0.25" rgba="0.9 0.1 0.1 1" contype="0" conaffinity="0"/>
    <body name="chassis" pos="0 0 {WHEEL_RADIUS_M}">
      <freejoint/>
      <geom name="body" type="box" size="0.07 0.07 0.02" mass="0.8"/>
      <geom name="caster_front" type="sphere" size="0.01" pos="0.06 0 -0.023" mass="0.01" condim="1" priority="1"/>
      <geom name="caster_rear" type="sphere" size="0.01" pos="-0.06 0 -0.023" mass="0.01" condim="1" priority="1"/>
      <site name="imu"/>
      <camera name="front" pos="0.08 0 0.02" xyaxes="0 -1 0 0 0 1" fovy="60"/>
      <body name="right" pos="0 -{WHEELBASE_M / 2} 0">
        <joint name="right_wheel" axis="0 1 0" armature="0.001"/>
        <geom name="right_tyre" type="cylinder" size="{WHEEL_RADIUS_M} 0.009" euler="90 0 0" mass="0.03"/>
      </body>
      <body name="pole" pos="0 0 0.05"><joint name="pole" axis="0 1 0"/><geom size="0.01" mass="0.01"/></body>
      <body name="left" pos="0 {WHEELBASE_M / 2} 0">
        <joint name="left_wheel" axis="0 1 0" armature="0.001"/>
        <geom name="left_tyre" type="cylinder" size="{WHEEL_RADIUS_M} 0.009" euler="90 0 0" mass="0.03"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="right_wheel" joint="right_wheel"/>
    <motor name="left_wheel" joint="left_wheel"/>
  </actuator>
  <sensor>
    <jointvel name="right_speed" joint="right_wheel"/>
    <jointvel name="left_speed" joint="left_wheel"/>
    <framequat name="orientation" objtype="site" objname="imu"/>
    <gyro name="gyroscope" site="imu"/>
  </sensor>
</mujoco>
"""

ARM = """
<mujoco model="arm">
  <option timestep="0.002" integrator="implicitfast"/>
  <worldbody>
    <body name="table">
      <body name="drawer"><joint name="drawer" type="slide"/><geom size="0.02" pos="0 0 -1" mass="0.1"/></body>
      <body name="upper" pos="0 0 0.1">
        <joint name="shoulder" axis="0 1 0" armature="0.02"/>
        <geom type="capsule" size="0.02" fromto="0 0 0 0.12 0 0" mass="0.1"/>
        <body name="lower" pos="0.12 0 0">
          <joint name="elbow" axis="0 1 0" armature="0.02"/>
          <geom type="capsule" size="0.02" fromto="0 0 0 0.12 0 0" mass="0.1"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="shoulder" joint="shoulder"/>
    <motor name="elbow" joint="elbow"/>
    <position name="vendors_servo" joint="drawer" kp="10"/>
  </actuator>
  <sensor>
    <jointpos name="shoulder_angle" joint="shoulder"/>
    <jointpos name="elbow_angle" joint="elbow"/>
  </sensor>
</mujoco>
"""


def write(folder: pathlib.Path, name: str, text: str) -> pathlib.Path:
    path = folder / f"{name}.xml"
    path.write_text(text)
    return path


def describe_cart(folder: pathlib.Path) -> TwinDescription:
    """Two wheels by speed (left, right: not the model's order), a gyroscope, and a camera at 5 Hz."""

    def motors(config):
        return VelocityMotors(
            speed_targets(config),
            gain_n_m_s_rad=np.full(2, 0.1),
            torque_limit_n_m=np.full(2, 0.5),
            acceleration_rad_s2=np.full(2, 20.0),
        )

    return TwinDescription(
        robot="cart",
        model=write(folder, "cart", CART),
        base="chassis",
        motors=("left_wheel", "right_wheel"),
        make_motors=motors,
        sensors=(
            Sensor("joint_velocity_rad_s", ("left_speed", "right_speed"), 0.05),
            Sensor("orientation_wxyz", ("orientation",), "orientation_noise_rad"),
            Sensor("angular_velocity_rad_s", ("gyroscope",), "angular_velocity_noise_rad_s"),
        ),
        cameras=(Camera(signal="image", name="front", height=32, width=48, period_s=0.2),),
        initial_states={"parked": InitialState(lambda twin, random: None, settle_s=0.2)},
        randomised=Randomised(bodies=("chassis",), friction_geoms=("left_tyre", "right_tyre")),
    )


def describe_arm(folder: pathlib.Path) -> TwinDescription:
    """Two joints by position, with servos that have play and go limp; no IMU, no noise, a base that is fixed."""

    def motors(config):
        targets = TargetStream(interpolate_s=config.interpolate_s, timeout_s=0.0, max_error_rad=math.inf)
        return PositionMotors(
            targets,
            stiffness_n_m_rad=np.full(2, 20.0),
            damping_n_m_s_rad=np.full(2, 1.0),
            torque_limit_n_m=np.full(2, 3.0),
            relaxed_damping_n_m_s_rad=np.zeros(2),
            backlash_rad=np.full(2, 0.01),
        )

    return TwinDescription(
        robot="arm",
        model=write(folder, "arm", ARM),
        base="table",
        motors=("shoulder", "elbow"),
        make_motors=motors,
        sensors=(Sensor("joint_position_rad", ("shoulder_angle", "elbow_angle")),),
        initial_states={
            "stretched": InitialState(lambda twin, random: None, command=np.zeros(2)),
            "bent": InitialState(lambda twin, random: twin.place_joints(np.array((-0.5, 1.0))), settle_s=0.0),
        },
    )
