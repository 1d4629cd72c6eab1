"""Thin ROS 2 nodes around the library. Nothing is learned or decided here."""

import os
import sys

from daydreamer.errors import USER_ERROR_STATUS, UserError
from daydreamer.middleware import require_middleware

# Other robots in the same network must not hear our commands unless somebody wants that.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

# Here, because rclpy may be imported by any of our modules, and would end the process in C.
try:
    require_middleware()
except UserError as error:
    print(error, file=sys.stderr, flush=True)
    sys.exit(USER_ERROR_STATUS)
