"""A cart on two driven wheels, with a gyroscope and a camera, that learns to drive up to a red post."""

from cart_robot.tasks import REACH, REACH_BY_BLOB
from daydreamer.robots.registry import Robot

ROBOT = Robot(
    name="cart",
    summary="a cart on two wheels with a camera",
    tasks={"reach_by_blob": REACH_BY_BLOB, "reach": REACH},
    twin="cart_robot.twin:make_twin",  # by name: MuJoCo is imported when a twin is wanted, and not before
    tried="its twin",
)
