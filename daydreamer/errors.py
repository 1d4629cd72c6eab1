"""Errors of more than one part; most are the user's to mend: shown as one sentence with the cure, no traceback."""

USER_ERROR_STATUS = 2
"""Exit status of a process that ended with a UserError, whose text is the last line on its stderr."""


class UserError(Exception):
    """Something outside the program is wrong; the message names the cause and the cure."""


class SpecMismatch(UserError):
    """A log, snapshot or checkpoint belongs to another robot specification or another network."""


class NoOpenGL(UserError):
    """This machine cannot draw, so that a twin has no pictures."""


class SimulationUnstable(RuntimeError):
    """The physics of a twin gave a state that is not finite or impossibly fast."""
