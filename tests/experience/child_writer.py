"""Run as a program: appends steps to a log until it is killed or the disk fails, and says which are written.

Arguments: directory, actor life, largest file in bytes (0 for no limit), format of pictures.
"""

import resource
import sys
from pathlib import Path

from conftest import SPEC, make_step

from daydreamer.errors import UserError
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.pictures import PictureStorage

directory, actor_life, limit_bytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if limit_bytes:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
writer = ExperienceWriter(directory, SPEC, actor_life, fsync_period_s=0.01, pictures=PictureStorage(sys.argv[4]))
sequence = 0
try:
    while True:
        writer.append(make_step(sequence, actor_life))
        print(sequence, flush=True)
        sequence += 1
except UserError as error:
    print(error, file=sys.stderr)
    try:
        writer.append(make_step(sequence, actor_life))
    except UserError:
        sys.exit(3)
