"""Who is at something: a file that its owner keeps locked, and what can be said of an owner that one cannot see.

A claim is a small file.  Its owner holds `flock` on it, so that it is free the moment the process ends, however it
ends and in whatever container it was.  The file also says who the owner is (host, boot, PID namespace, process and when
that began) and is touched once a minute, for file systems whose locks do not reach everybody: a volume of two machines.

Of an owner that is not seen to live, only this is taken for dead:

* its lock is free, on the same kernel and device that it locked it on;
* its lock is free, on a file system that one kernel alone can have mounted;
* its process is gone, or another one has its number, in our own PID namespace since the same boot.

Everything else might live.  (Two machines cloned while they ran, with one network folder, cannot be told apart.)
"""

import contextlib
import errno
import json
import os
import platform
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import final

BEAT_S = 60.0
"""Between two signs of life of a claim, seconds."""
NEWBORN_S = 60.0
"""So long a claim without content may be one that is just being made, where locks do not work; seconds."""
ONE_KERNEL = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "overlay", "bcachefs", "jfs", "reiserfs")
)
"""File systems that two machines cannot have mounted at once."""
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.EIO)
"""What `flock` answers where the file system has none."""
ATTEMPTS = 1000


@final
@dataclass(frozen=True, slots=True)
class Owner:
    """A process that no other one is like.  `boot`, `namespace`: empty and 0 where the system does not say.

    `started`: in ticks since the boot.  `device`: of the claim, as its owner saw it.  `locks`: flock worked there.
    """

    host: str
    boot: str
    namespace: int
    pid: int
    started: int
    device: int
    locks: bool

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class State(Enum):
    """What can be said of a claim."""

    FREE = auto()
    """There is none, or its owner is surely dead."""
    LIVES = auto()
    UNKNOWN = auto()
    """Its owner cannot be seen from here."""


class Claimed(Exception):
    """Somebody else has the claim, or might have it."""

    def __init__(self, file: Path, owner: Owner | None, state: State) -> None:
        super().__init__(f"{file}: claimed by {owner or 'another process'}")
        self.file = file
        self.owner = owner
        self.state = state


@final
class Claim:
    """A claim that this process has, until `release`."""

    def __init__(self, file: Path, handle: int) -> None:
        self.file = file
        self._handle = handle
        _HEART.feel(handle)

    def release(self, remove: bool = True) -> None:
        """Let others have it.  `remove`: its file too, which else says who has left something behind."""
        if self._handle < 0:
            return
        with contextlib.suppress(OSError):
            if remove and _is_at(self._handle, self.file):
                self.file.unlink()
        _HEART.forget(self._handle)
        os.close(self._handle)
        self._handle = -1

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def claim(file: Path) -> Claim:
    """Have the claim `file`, from now until `release` or the end of this process.

    Raises `Claimed` where another process has it or might have it, also another claim of this process.
    """
    for _ in range(ATTEMPTS):
        handle, is_new = _open(file)
        try:
            locked = _lock(handle)
            if locked is False:
                raise Claimed(file, _read(handle), State.LIVES)
            if not _is_at(handle, file):  # its owner has removed it meanwhile
                continue
            if not is_new:
                before = _read(handle)
                state = _state(handle, file, before, bool(locked))
                if state is not State.FREE:
                    raise Claimed(file, before, state)
                if not locked:
                    _bury(handle, file)
                    continue
            _write(handle, bool(locked))
            taken, handle = handle, -1
            return Claim(file, taken)
        finally:
            if handle >= 0:
                os.close(handle)
    raise Claimed(file, None, State.UNKNOWN)


def take_over(file: Path) -> Claim | None:
    """The claim of an owner that is surely dead; None if it might live, or if there is no such file."""
    if not file.is_file():
        return None
    try:
        return claim(file)
    except (Claimed, OSError):
        return None


def look(file: Path) -> tuple[State, Owner | None]:
    """What can be said of the claim `file`, and whose it is; nothing is changed."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return State.FREE, None
    except OSError:
        return State.UNKNOWN, None
    try:
        locked = _lock(handle)
        owner = _read(handle)
        return (State.LIVES if locked is False else _state(handle, file, owner, bool(locked))), owner
    finally:
        os.close(handle)


@contextlib.contextmanager
def one_at_a_time(folder: Path, patience_s: float = 10.0) -> Iterator[None]:
    """Only one process is in such a block of `folder`, where its file system can do that; nobody waits for ever."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, handle)
            deadline = time.monotonic() + patience_s
            while _lock(handle) is False and time.monotonic() < deadline:
                time.sleep(0.005)
        yield


def here(handle: int, locks: bool) -> Owner:
    """This process, as the owner of the claim that it has open."""
    started = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        started = _started("self")
    device = os.fstat(handle).st_dev
    return Owner(platform.node(), _boot(), _namespace(), os.getpid(), started, device, locks)


def _open(file: Path) -> tuple[int, bool]:
    """The file, and whether it was made by this."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileExistsError):
            return os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), True
        with contextlib.suppress(FileNotFoundError):
            return os.open(file, os.O_RDWR | os.O_CLOEXEC), False
    raise Claimed(file, None, State.UNKNOWN)


def _lock(handle: int) -> bool | None:
    """True: it is ours now; False: somebody has it; None: there are no locks here."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return None
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        return False
    return True


def _is_at(handle: int, file: Path) -> bool:
    """True while the open file is the one of that name."""
    try:
        there = os.stat(file)
    except OSError:
        return False
    return os.path.samestat(os.fstat(handle), there)


def _read(handle: int) -> Owner | None:
    try:
        content = json.loads(os.pread(handle, 4096, 0))
        owner = Owner(**content)
        kinds = str, str, int, int, int, int, bool
        values = owner.host, owner.boot, owner.namespace, owner.pid, owner.started, owner.device, owner.locks
        return owner if all(map(isinstance, values, kinds)) else None
    except (ValueError, TypeError, OSError, RecursionError):
        return None


def _write(handle: int, locks: bool) -> None:
    content = json.dumps(asdict(here(handle, locks))).encode() + b"\n"
    os.ftruncate(handle, 0)
    os.pwrite(handle, content, 0)


def _bury(handle: int, file: Path) -> None:
    """Remove the claim of a dead owner where nothing is locked, unless somebody was faster and it is his by now."""
    away = file.with_name(f".lock-{secrets.token_hex(6)}")
    try:
        file.rename(away)
    except FileNotFoundError:
        return
    if not _is_at(handle, away):
        with contextlib.suppress(OSError):
            os.link(away, file)
    away.unlink()


def _state(handle: int, file: Path, owner: Owner | None, is_free: bool) -> State:
    """Of a claim that is not seen to be locked.  `is_free`: we have its lock at this moment."""
    if owner is None:
        is_old = time.time() - os.fstat(handle).st_mtime > NEWBORN_S
        if os.fstat(handle).st_size == 0 and (is_free or is_old):
            return State.FREE  # whoever made it has claimed nothing by it yet, and looks again once it has the lock
        return State.UNKNOWN
    same_boot = bool(owner.boot) and owner.boot == _boot()
    if is_free and owner.locks and same_boot and owner.device == os.fstat(handle).st_dev:
        return State.FREE
    if is_free and owner.locks and _file_system(file) in ONE_KERNEL:
        return State.FREE
    if same_boot and owner.namespace and owner.namespace == _namespace():
        return State.LIVES if _runs(owner) else State.FREE
    return State.UNKNOWN


def _runs(owner: Owner) -> bool:
    """True unless a process of our own PID namespace is gone, or its number is another one's by now."""
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    try:
        if os.readlink("/proc/self") != str(os.getpid()):  # /proc is of another namespace
            return True
        return not owner.started or _started(str(owner.pid)) == owner.started
    except (OSError, ValueError, IndexError):
        return True


def _started(process: str) -> int:
    """When a process began, in ticks since the boot."""
    text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    return int(text.rpartition(")")[2].split()[19])


@cache
def _boot() -> str:
    """What names this kernel since it was started; elsewhere than on Linux, the machine."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"darwin-{uuid.getnode():012x}" if platform.system() == "Darwin" else ""


@cache
def _namespace() -> int:
    """The PID namespace of this process."""
    with contextlib.suppress(OSError):
        return os.stat("/proc/self/ns/pid").st_ino
    return 1 if platform.system() == "Darwin" else 0


def _file_system(file: Path) -> str:
    """The kind that a file lies on; empty where the system does not say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        real = os.path.realpath(file)
    except OSError:
        return ""
    found = best = ""
    for line in lines:
        place, _, rest = line.partition(" - ")
        where = place.split(" ")[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        inside = real == where or real.startswith(where.rstrip("/") + "/")
        if inside and len(where) >= len(best):
            best, found = where, rest.split(" ")[0]
    return found


@final
class _Heart:
    """Touches every claim of this process once in a while, until it ends."""

    def __init__(self) -> None:
        self._forget_everything()
        os.register_at_fork(after_in_child=self._forget_everything)

    def _forget_everything(self) -> None:
        self._lock = threading.Lock()
        self._handles: set[int] = set()
        self._beats = False

    def feel(self, handle: int) -> None:
        """Begin to touch a claim."""
        with self._lock:
            self._handles.add(handle)
            if not self._beats:
                self._beats = True
                threading.Thread(target=self._go_on, name="marginquake-claims", daemon=True).start()

    def forget(self, handle: int) -> None:
        """It is going to be closed."""
        with self._lock:
            self._handles.discard(handle)

    def beat(self) -> None:
        """Once."""
        with self._lock:
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    os.utime(handle)

    def _go_on(self) -> None:
        while True:
            time.sleep(BEAT_S)
            self.beat()


_HEART = _Heart()
