"""What a parser may do while it reads a file of a stranger: raise a documented error, little else.

While a target runs, an audit hook of the interpreter looks at every file that is opened, written,
renamed or removed, at code that is executed, processes that are started and connections made.
Memory is what Python and NumPy asked for (tracemalloc, where it is on), whether it was touched or
not, and the growth of the process.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from deep.errors import CheckpointWarning
from deep.errors import InputError as DeepInputError
from linvae.errors import InputError

ALLOWED = (InputError, DeepInputError)
BASE = 16 * 2**20  # bytes: blocks that are read at once, tables of zlib

_NEVER = (
    "ctypes.dlopen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pickle.find_class",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
)
_PATHS = {
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.link": (0, 1),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.symlink": (0, 1),
    "os.truncate": (0,),
    "shutil.move": (0, 1),
    "shutil.rmtree": (0,),
}
_ROOT = Path(__file__).resolve().parents[2]
_OF_PYTHON = tuple({os.path.realpath(p) + os.sep for p in (sys.prefix, sys.base_prefix)})
_PROGRAMS = tuple(f"{_ROOT / package}{os.sep}" for package in ("linvae", "deep", "tests"))


class ForbiddenError(AssertionError):
    """A parser did what no file may make it do."""


class _Hook:
    """The one audit hook of the process; it cannot be taken away, so it sleeps between targets."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        folder = self.folder
        if folder is None:
            return
        if event == "open":
            self._opened(folder, args)
        elif event in _NEVER:
            self.seen.append(f"{event} {args[0]!r:.80}")
        elif event in _PATHS:
            # A path relative to an open folder belongs to a removal that was looked at before.
            self.seen += [
                f"{event} {args[i]!r:.80}"
                for i in _PATHS[event]
                if not (isinstance(args[-1], int) and args[-1] > 0) and not _below(args[i], folder)
            ]
        elif event == "exec" and not _importing():
            self.seen.append(f"exec of {getattr(args[0], 'co_filename', '?')}")

    def _opened(self, folder: str, args: tuple[Any, ...]) -> None:
        path, mode, flags = args
        if isinstance(path, int) or _below(path, folder):
            return
        written = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(
            letter in (mode or "") for letter in "wax+"
        )
        real = os.path.realpath(os.fsdecode(path))
        if written or not real.startswith(_OF_PYTHON + _PROGRAMS):
            self.seen.append(f"open {path!r:.80} ({'write' if written else 'read'})")


def _below(path: Any, folder: str) -> bool:
    text = os.fsdecode(path)
    if text.startswith(folder) and ".." not in text and not os.path.islink(text):
        return True
    return f"{os.path.realpath(os.fsdecode(path))}{os.sep}".startswith(folder)


def _importing() -> bool:
    """Whether a module that is installed is being loaded for the first time."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@cache
def _hook() -> _Hook:
    return _Hook()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for the files of targets, in memory where the system has such a place."""
    place = os.environ.get("LINVAE_FUZZ_FOLDER")
    if place is None and os.access("/dev/shm", os.W_OK):
        place = "/dev/shm"
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=place) as name:
        yield Path(os.path.realpath(name))


def watched(
    read: Callable[[bytes, Path], object], folder: Path, growth: int
) -> Callable[[bytes], bool]:
    """Wrap a reader of contents into a target: what is returned is whether it was accepted.

    Parameters
    ----------
    read : callable(content, folder)
    folder : Path
        In which alone it may open, write and remove files.
    growth : int
        Bytes of memory it may take for each byte of the content.

    Raises
    ------
    ForbiddenError
        From the target: another file touched, code executed, more memory than the bound.
    Exception
        From the target: whatever else than the documented errors the reader raised.
    """
    hook, inside = _hook(), f"{folder}{os.sep}"

    def target(content: bytes) -> bool:
        most = BASE + growth * len(content)
        before, traced = _resident(), tracemalloc.is_tracing()
        if traced:
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
        hook.seen, hook.folder = [], inside
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", CheckpointWarning)
                read(content, folder)
            accepted = True
        except ALLOWED as error:
            _check_message(str(error), len(content))
            accepted = False
        finally:
            hook.folder = None
        if hook.seen:
            raise ForbiddenError("; ".join(hook.seen[:3]))
        if traced and tracemalloc.get_traced_memory()[1] - held > most:
            peak = tracemalloc.get_traced_memory()[1] - held
            raise ForbiddenError(f"{peak} bytes asked for, bound {most}")
        if _resident() - before > 2 * most:
            raise ForbiddenError(f"the process grew by {_resident() - before}, bound {2 * most}")
        return accepted

    return target


def _check_message(message: str, size: int) -> None:
    """An error is a sentence that can be printed; it does not hand the file back."""
    message.encode("utf-8")
    if len(message) > 2000:
        raise ForbiddenError(f"a message of {len(message)} characters for {size} bytes")


def _resident() -> int:
    """Largest size of the process so far, bytes; Linux counts in kB, macOS in bytes."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest
