"""Sensors of a twin: the model's values under the names of signals, with noise and bias."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.errors import UserError
from sim.description import Sensor
from sim.names import find, selection

_ORIENTATIONS = (mujoco.mjtSensor.mjSENS_FRAMEQUAT, mujoco.mjtSensor.mjSENS_BALLQUAT)


class _Row(NamedTuple):
    """One signal: where its values are, and which of the random numbers of a reading are its noise."""

    signal: str
    values: slice | np.ndarray
    noise: slice | None
    orientation: bool
    bias: np.ndarray


class Sensors:
    """The table of a robot's signals.

    Attributes:
      biases: by signal, what each value is too large by, or, of an orientation, the rotation vector `[3]` by which it
        is turned; may be changed in place at any time.
    """

    def __init__(
        self, model: mujoco.MjModel, sensors: Sequence[Sensor], config: TwinConfig, noise_scale: float, robot: str
    ) -> None:
        """Looks the sensors up.

        Args:
          config: has the noise that sensors name.
          noise_scale: of the noise that they state.
          robot: for errors.

        Raises:
          UserError: the model has no such sensor, or an orientation is not alone in its signal.
        """
        self._rows: list[_Row] = []
        scales: list[float] = []
        for sensor in sensors:
            numbers = find(model, "sensor", sensor.names, robot)
            orientation = bool(np.isin(model.sensor_type[numbers], _ORIENTATIONS).any())
            if orientation and len(numbers) > 1:
                raise UserError(
                    f"The signal '{sensor.signal}' of the twin of '{robot}' has an orientation among other sensors; "
                    "give it a signal of its own."
                )
            places = zip(model.sensor_adr[numbers], model.sensor_dim[numbers], strict=True)
            values = np.concatenate([np.arange(address, address + size) for address, size in places])
            components = 3 if orientation else len(values)
            noise = None
            if sensor.noise is not None:
                noise = slice(len(scales), len(scales) + components)
                scales += [_deviation(sensor.noise, config, noise_scale)] * components
            self._rows.append(_Row(sensor.signal, selection(values), noise, orientation, np.zeros(components)))
        self._noise_scale = np.array(scales)
        self.biases = {row.signal: row.bias for row in self._rows}

    def read(self, values: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
        """A new array for each signal, from the model's sensor values."""
        noise = self._noise_scale * random.standard_normal(len(self._noise_scale))
        signals = {}
        for signal, where, noisy, orientation, bias in self._rows:
            if orientation:
                signals[signal] = _turned(values[where], bias if noisy is None else noise[noisy] + bias)
            elif noisy is None:
                signals[signal] = values[where] + bias
            else:
                signals[signal] = values[where] + noise[noisy] + bias
        return signals


def _deviation(noise: str | float, config: TwinConfig, scale: float) -> float:
    """Standard deviation; what comes from the configuration has been scaled there."""
    return getattr(config, noise) if isinstance(noise, str) else scale * noise


def _turned(orientation_wxyz: np.ndarray, rotation_vector_rad: np.ndarray) -> np.ndarray:
    """The orientation, turned by a small rotation vector; normalised."""
    w, x, y, z = orientation_wxyz.tolist()
    a, b, c = (0.5 * rotation_vector_rad).tolist()
    turned = np.array(
        (
            w - x * a - y * b - z * c,
            x + w * a + y * c - z * b,
            y + w * b + z * a - x * c,
            z + w * c + x * b - y * a,
        )
    )
    return turned / math.sqrt(turned @ turned)
