"""What networks need of a robot's sensors; known without JAX, before anything moves."""

from __future__ import annotations

from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.spec import RobotSpec

PATCH = 8
"""Side in pixels of the squares that an image is cut into."""


LARGEST_APPEND = 4096
"""Steps that are appended to the replay at once, which it must have room for."""


def require_learnable(spec: RobotSpec, model: ModelConfig, learner: LearnerConfig | None = None) -> None:
    """Finds out whether networks of these settings can learn from what a robot observes.

    Args:
      learner: None for the world model alone.

    Raises:
      ValueError: they cannot; says which setting to change.
    """
    images = {key: space.shape for key, space in spec.observation.items() if space.is_image}
    for key, (height, width, channels) in images.items():
        if model.hues and channels != 3:
            raise ValueError(f"image '{key}' has {channels} channels and model.hues=true needs three; set it to false")
        if height % PATCH or width % PATCH:
            raise ValueError(f"image '{key}' is {height}x{width}; its sides must be multiples of {PATCH} pixels")
    pictures = sum(height * width * channels for height, width, channels in images.values())
    if learner and pictures * LARGEST_APPEND > learner.replay_bytes:
        raise ValueError(
            f"{LARGEST_APPEND} steps of these pictures take {pictures * LARGEST_APPEND:.2g} bytes, and "
            f"learner.replay_bytes={learner.replay_bytes}; allow for more, or take smaller pictures"
        )
    if model.image_loss == "none" and images and not model.hues:
        raise ValueError("with model.image_loss=none nothing is seen of images; set model.hues=true, too")
    if len(images) < len(spec.observation) or (images and model.hues):
        return
    if not model.memory:
        raise ValueError("without model.memory a model needs something that is measured; set model.hues=true, too")
    if learner and learner.members:
        raise ValueError(
            f"learner.members={learner.members} predict what is measured, and robot '{spec.robot}' has pictures alone; "
            "set learner.members=0, or model.hues=true"
        )
