"""The experience log of one more life of an actor, as a session's settings have it."""

from __future__ import annotations

from daydreamer.experience.log import next_actor_life
from daydreamer.experience.pictures import PictureStorage
from daydreamer.experience.rolling import RollingExperienceWriter
from daydreamer.session.directory import Session


def begin_log(session: Session) -> RollingExperienceWriter:
    """Begins the log of the session's next life, which is `RollingExperienceWriter.actor_life`.

    Raises:
      UserError: see `RollingExperienceWriter`.
    """
    config = session.config.actor
    return RollingExperienceWriter(
        session.experience,
        session.spec,
        next_actor_life(session.experience),
        config.fsync_period_s,
        config.log_roll_bytes,
        session.digest,
        PictureStorage(config.picture_format, config.jpeg_quality),
    )
