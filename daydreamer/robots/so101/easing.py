"""How the SO-101's gripper keeps what it holds without burning its motor."""

from __future__ import annotations

from daydreamer.robots.so101.constants import EASED_TORQUE_N_M, GRIPPER_TORQUE_N_M

PRESSES_S = 2.0
"""For which a gripper that stands still may press with all that it may."""

STANDS_RAD_S = 0.1


class Easing:
    """The torque that the gripper may give: less, once it has pressed on something for a while.

    It is eased as long as it is told to press on in the same direction. A jaw that moves, because what it held is gone
    or gives way, has its torque back.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """It does not press."""
        self._pressed: tuple[float, float] | None = None

    def torque_n_m(self, time_s: float, asked_n_m: float, speed_rad_s: float) -> float:
        """What it may give from now on.

        Args:
          time_s: on a clock that does not go back.
          asked_n_m: that its control asks for; of what it cannot give its sign.
          speed_rad_s: of the jaw.
        """
        # What is asked of an eased one comes to what it may give, but for rounding.
        presses = abs(asked_n_m) >= (1.0 - 1e-9) * EASED_TORQUE_N_M and abs(speed_rad_s) < STANDS_RAD_S
        if not presses:
            self.forget()
        elif self._pressed is None or self._pressed[1] * asked_n_m < 0.0:
            self._pressed = time_s, asked_n_m
        eased = self._pressed is not None and time_s - self._pressed[0] > PRESSES_S
        return EASED_TORQUE_N_M if eased else GRIPPER_TORQUE_N_M
