"""Opens the files of a session, which may come from a stranger.

No link is followed, whether it is the file itself or a folder on the way to it; only regular files are opened, so that
nothing waits for a pipe or acts on a device; and what is read has a bound. Whatever is refused is an `OSError` whose
`strerror` goes into a sentence, as that of a full disk does.

Paths are those below `Session.path`, which is free of links itself. The checks are made on the way, folder by folder
from the root, not on the name beforehand: nothing can be put in between.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from daydreamer.errors import UserError

FILE_MODE, FOLDER_MODE = 0o600, 0o700
"""What a robot sees is nobody's but its owner's; who wants to share a session says so with chmod."""

_KINDS = {
    stat.S_IFLNK: "a link, which is not followed",
    stat.S_IFIFO: "a pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
    stat.S_IFDIR: "a folder, not a file",
    stat.S_IFREG: "a file, not a folder",
}


def open_file(path: Path, flags: int = os.O_RDONLY, mode: int = FILE_MODE) -> int:
    """A descriptor of a regular file, as of `os.open`; it is closed when another program is started.

    Raises:
      OSError: it cannot be opened, is a link or no regular file, or lies behind a link. To be changed in place, it
        must not have another name either.
    """
    with _folder_of(path) as folder:
        with contextlib.suppress(FileNotFoundError):
            # Before it is opened, because that alone makes some devices act.
            _require(path, os.stat(path.name, dir_fd=folder, follow_symlinks=False), stat.S_IFREG)
        descriptor = os.open(
            path.name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode, dir_fd=folder
        )
    try:
        found = os.fstat(descriptor)
        _require(path, found, stat.S_IFREG)
        if flags & (os.O_WRONLY | os.O_RDWR) and found.st_nlink > 1:
            raise OSError(errno.EMLINK, "it has a second name, whose content would change too; copy the session", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_file(path: Path, limit: int) -> bytes:
    """The whole content of a file.

    Raises:
      OSError: see `open_file`; or it has more than `limit` bytes.
    """
    with os.fdopen(open_file(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        # What is too large anyway takes no memory, and what is not takes its size once.
        content = file.read(size + 1) if size <= limit else b""
        if len(content) > size:  # it grows
            content += file.read(limit - size)
    if max(size, len(content)) > limit:
        raise OSError(errno.EFBIG, f"it is larger than the {limit} bytes that such a file may have", path)
    return content


def list_folder(path: Path) -> list[str]:
    """Names in a folder; empty if there is none.

    Raises:
      OSError: it cannot be read, is none, or lies behind a link.
    """
    try:
        with _folder_of(path / "entry") as folder:
            # The descriptor above only names the folder.
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return []
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


def numbered_files(directory: Path, name: re.Pattern[str]) -> dict[int, Path]:
    """Files whose whole name matches a pattern, by the number that its first group stands for, in order.

    Raises:
      UserError: the directory cannot be read.
    """
    try:
        matches = filter(None, map(name.fullmatch, list_folder(directory)))
    except OSError as error:
        raise UserError(f"{directory} cannot be read ({error.strerror}); check it and its permissions.") from error
    return dict(sorted((int(match[1]), directory / match[0]) for match in matches))


def file_size(path: Path) -> int | None:
    """Bytes of a regular file; None if there is none.

    Raises:
      OSError: it is something else, or lies behind a link.
    """
    try:
        with _folder_of(path) as folder:
            found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    _require(path, found, stat.S_IFREG)
    return found.st_size


def make_folder(path: Path) -> None:
    """Makes a folder in one that there is; nothing if it is there already.

    Raises:
      OSError: it cannot be made, is something else, or lies behind a link.
    """
    with _folder_of(path) as folder:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path.name, FOLDER_MODE, dir_fd=folder)
        _require(path, os.stat(path.name, dir_fd=folder, follow_symlinks=False), stat.S_IFDIR)


def remove_file(path: Path) -> None:
    """Removes a name, whatever it stands for but a folder; nothing if there is none.

    Raises:
      OSError: it cannot be removed, or lies behind a link.
    """
    with contextlib.suppress(FileNotFoundError), _folder_of(path) as folder:
        os.unlink(path.name, dir_fd=folder)


def rename_file(path: Path, name: str) -> None:
    """Gives a file another name in its folder; what had that name before is gone.

    Raises:
      OSError: it cannot be renamed, or lies behind a link.
    """
    with _folder_of(path) as folder:
        os.rename(path.name, name, src_dir_fd=folder, dst_dir_fd=folder)


def find_foreign(directory: Path) -> Iterator[tuple[Path, str]]:
    """Everything below a directory that is neither a regular file nor a folder, with what it is; follows no link.

    For libraries that open files by themselves.
    """
    for folder, folders, names in os.walk(directory):
        for name in (*folders, *names):
            path = Path(folder, name)
            with contextlib.suppress(FileNotFoundError):
                kind = stat.S_IFMT(os.lstat(path).st_mode)
                if kind not in (stat.S_IFREG, stat.S_IFDIR):
                    yield path, _KINDS.get(kind, "no file")


@contextlib.contextmanager
def _folder_of(path: Path) -> Iterator[int]:
    """A descriptor that names the folder of a path, reached without a link."""
    path = path.absolute()
    inside = Path(path.anchor)
    folder = os.open(inside, _FOLDER)
    try:
        for part in path.parent.parts[1:]:
            inside /= part
            try:
                following = os.open(part, _FOLDER, dir_fd=folder)
            except NotADirectoryError:
                _require(inside, os.stat(part, dir_fd=folder, follow_symlinks=False), stat.S_IFDIR)
                raise
            os.close(folder)
            folder = following
        yield folder
    except OSError as error:
        if error.filename is not None and not os.path.isabs(error.filename):
            error.filename = str(path)
        raise
    finally:
        os.close(folder)


_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _require(path: Path, found: os.stat_result, wanted: int) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != wanted:
        code = {stat.S_IFLNK: errno.ELOOP, stat.S_IFREG: errno.ENOTDIR, stat.S_IFDIR: errno.EISDIR}
        raise OSError(code.get(kind, errno.EINVAL), f"{path.name} is {_KINDS.get(kind, 'no file')}", str(path))
