"""What `marginquake doctor` finds: what is installed, what is compiled, how fast this machine is."""

import importlib
import os
import pkgutil
import platform
import shutil
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim import kernels
from marginquake.sim.core.accounts import SYSTEM_ROWS, AccountTable
from marginquake.sim.core.outside import disk
from marginquake.sim.core.records import COMMAND, MarginMode, OrderKind, Side
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.core.version import MODEL_VERSION, __version__
from marginquake.sim.venue.exchange import Exchange, ExchangeRules

PACKAGES = ("numpy", "numba", "mesa", "pyarrow", "pydantic", "scipy", "dask")
LEAST_FREE_BYTES = 1 << 30
Level = Literal["ok", "note", "wrong"]


@final
@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what it is, how it stands, and what to do about it where something is to be done."""

    name: str
    level: Level
    says: str
    way_out: str = ""


@final
@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Checks for people, facts for programs."""

    checks: list[Check] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """True unless something is wrong."""
        return all(check.level != "wrong" for check in self.checks)

    def add(self, check: Check, **facts: Any) -> None:
        """Note a check and what it rests on."""
        self.checks.append(check)
        self.facts.update(facts)


def diagnose(runs: Path, modules_with_kernels: tuple[ModuleType, ...], speed: bool) -> Diagnosis:
    """Look at everything.  `runs`: where runs will be written; `speed`: also measure, which compiles what it needs."""
    found = Diagnosis()
    _versions(found)
    _machine(found)
    _runs_folder(found, runs)
    _numba(found)
    _kernels(found, modules_with_kernels)
    if speed:
        _speed(found)
    return found


def compiled_kernels(packages: tuple[ModuleType, ...]) -> dict[str, bool]:
    """Every kernel below these packages, by `module.name`: is it compiled, for this Python, in the cache folder?"""
    found = {}
    tag = f"py{sys.version_info[0]}{sys.version_info[1]}"
    for package in packages:
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            for name, item in vars(module).items():
                if getattr(item, "__module__", None) != info.name or not hasattr(item, "py_func"):
                    continue
                folder = item.stats.cache_path
                if folder:
                    stem = f"{info.name.rpartition('.')[2]}.{name}-*.{tag}*.nbi"
                    found[f"{info.name}.{name}"] = any(Path(folder).glob(stem))
    return found


def other_versions() -> list[Path]:
    """Cache folders of kernel sources other than the present ones."""
    present = f"kernels-{kernels.source_digest()}"
    folders = kernels.cache_directory().parent.glob("kernels-*")
    return sorted(path for path in folders if path.is_dir() and not path.name.startswith(present))


def delete_old_kernels() -> int:
    """Delete what was compiled from other sources; returns the bytes."""
    freed = 0
    for path in other_versions():
        freed += folder_bytes(path)
        disk.remove(path)
    return freed


def folder_bytes(path: Path) -> int:
    """Size of all files below a folder; 0 if it is not there."""
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def _versions(found: Diagnosis) -> None:
    packages = {package: metadata.version(package) for package in PACKAGES}
    listed = ", ".join(f"{name} {version}" for name, version in packages.items())
    found.add(
        Check("versions", "ok", f"marginquake {__version__}, model version {MODEL_VERSION}; {listed}"),
        marginquake=__version__,
        model_version=MODEL_VERSION,
        packages=packages,
    )
    version = platform.python_version()
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    found.add(
        Check("python", "ok", f"{version}, {platform.platform()}")
        if supported
        else Check("python", "wrong", version, "marginquake needs Python 3.11, 3.12 or 3.13"),
        python=version,
        platform=platform.platform(),
    )


def _machine(found: Diagnosis) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    found.add(
        Check("machine", "ok", f"{cores} cores, {memory / 1e9:.1f} GB of memory, load {load:.1f}"),
        cores=cores,
        memory_bytes=memory,
        load_average=load,
    )


def _runs_folder(found: Diagnosis, runs: Path) -> None:
    folder = runs.absolute()
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    writable = standing.is_dir() and os.access(standing, os.W_OK)
    free = shutil.disk_usage(standing).free
    name = f"{runs}: {free / 1e9:.1f} GB free"
    if not writable:
        check = Check("runs", "wrong", f"{standing}: cannot be written", "name another folder with --out DIR")
    elif free < LEAST_FREE_BYTES:
        check = Check("runs", "wrong", name, "`marginquake clean --keep N` deletes old runs; or --out DIR elsewhere")
    else:
        check = Check("runs", "ok", name)
    found.add(check, runs=str(runs), runs_writable=writable, free_bytes=free)


def _numba(found: Diagnosis) -> None:
    private = kernels.JIT and kernels.PRIVATE_OPTIONS
    if not kernels.JIT:
        check = Check("compiler", "wrong", "kernels are interpreted", "unset NUMBA_DISABLE_JIT: a hundred times faster")
    elif kernels.PLAIN:
        check = Check(
            "compiler", "note", "only public numba options", "unset MARGINQUAKE_PLAIN_NJIT: several times faster"
        )
    elif not private:
        check = Check("compiler", "note", "this numba refuses the options that make kernels fast", "install numba 0.68")
    else:
        check = Check("compiler", "ok", "numba compiles, with the private options that make kernels fast")
    found.add(check, jit=kernels.JIT, private_numba_options=private)


def _kernels(found: Diagnosis, packages: tuple[ModuleType, ...]) -> None:
    folder = kernels.cache_directory()
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    compiled = compiled_kernels(packages)
    done, size = sum(compiled.values()), folder_bytes(folder)
    others = other_versions()
    old = sum(folder_bytes(path) for path in others)
    says = f"{done} of {len(compiled)} compiled, {size / 1e6:.0f} MB in {folder}"
    if not (standing.is_dir() and os.access(standing, os.W_OK)):
        check = Check("kernels", "wrong", f"{standing}: cannot be written", "set MARGINQUAKE_CACHE to another folder")
    elif kernels.JIT and done == 0:
        check = Check("kernels", "note", says, "the first run compiles them, once")
    else:
        check = Check("kernels", "ok", says)
    found.add(check, cache=str(folder), cache_bytes=size, kernels=compiled)
    if others:
        check = Check(
            "old kernels", "note", f"{len(others)} other versions, {old / 1e6:.0f} MB", "--prune deletes them"
        )
        found.add(check, old_caches=len(others), old_cache_bytes=old)


def _speed(found: Diagnosis) -> None:
    rate = measure_speed()
    ratio = rate / REFERENCE_COMMANDS_PER_S
    beside = "as fast as" if 0.9 <= ratio <= 1.1 else f"{ratio:.2g} times as fast as"
    says = f"{rate / 1e6:.2f} M commands a second through book and settlement: {beside} the reference, a 2 GHz Xeon"
    slow = Check("speed", "note", says, "is something else running? a batch of the book should not wait for a core")
    found.add(slow if ratio < 0.5 else Check("speed", "ok", says), commands_per_s=rate, of_reference=ratio)


REFERENCE_COMMANDS_PER_S = 7.2e6
"""What `measure_speed` gave on a virtual core of a 2 GHz Xeon that had it to itself, Python 3.11, numba 0.68."""
SECONDS = 1.0
COMMANDS = 100_000
BATCH = 1000
RECENT = 900
"""A cancellation names one of so many commands before it."""
ACCOUNTS = 1_000
LADDER = 1 << 12


def measure_speed() -> float:
    """Commands a second through book, settlement, margin and event log, in batches of 1000; the best of a second."""
    commands = _stream(COMMANDS)
    best = 0.0
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or best == 0.0:
        exchange = rich_exchange(ACCOUNTS, LADDER, 1 << 15)
        exchange.set_mark(LADDER // 2, 0)
        exchange.process(commands[:BATCH])
        started = time.perf_counter()
        for first in range(BATCH, COMMANDS, BATCH):
            exchange.process(commands[first : first + BATCH])
        best = max(best, (COMMANDS - BATCH) / (time.perf_counter() - started))
    return best


def rich_exchange(
    count: int,
    ladder: int,
    orders: int,
    *,
    caps: tuple[int, ...] = (10**15,),
    rates_ppm: tuple[int, ...] = (10_000,),
    deductions: tuple[int, ...] = (0,),
    initial_ppm: tuple[int, ...] = (20_000,),
) -> Exchange:
    """A market of `count` rich accounts under ordinary rules; its brackets are those given."""
    accounts = AccountTable(SYSTEM_ROWS + count, LotValue(100))
    rows = accounts.claim(0, count)
    accounts.rows["collateral"][rows] = 10**14
    accounts.rows["mode"][rows] = int(MarginMode.CROSS)
    accounts.rows["initial_margin_ppm"][rows] = 100_000
    rules = ExchangeRules(
        lot_value=LotValue(100),
        ladder_size=ladder,
        maker_fee_ppm=200,
        taker_fee_ppm=500,
        liquidation_fee_ppm=12_500,
        bracket_cap=caps,
        bracket_rate_ppm=rates_ppm,
        bracket_deduction=deductions,
        bracket_initial_ppm=initial_ppm,
        max_position_lots=1_000_000,
    )
    return Exchange(rules, accounts, orders=orders)


def _stream(count: int) -> NDArray[Any]:
    """Half limit orders near the touch, two fifths cancellations of earlier ones, a tenth market orders."""
    draw = np.random.default_rng(1)
    commands = np.zeros(count, COMMAND)
    commands["arrival_ns"] = np.arange(count) * 1000
    commands["order_id"] = np.arange(1, count + 1)
    commands["account"] = SYSTEM_ROWS + draw.integers(0, ACCOUNTS, count)
    commands["quantity_lots"] = draw.integers(1, 100, count)
    side = np.where(draw.random(count) < 0.5, int(Side.BUY), int(Side.SELL))
    commands["side"] = side
    kind = draw.choice((int(OrderKind.LIMIT), int(OrderKind.CANCEL), int(OrderKind.MARKET)), count, p=(0.5, 0.4, 0.1))
    kind[:BATCH] = int(OrderKind.LIMIT)
    commands["kind"] = kind
    limits = kind == OrderKind.LIMIT
    commands["price_ticks"] = np.where(limits, LADDER // 2 - side * draw.geometric(0.1, count), 0)
    cancels = np.flatnonzero(kind == OrderKind.CANCEL)
    named = cancels - 1 - draw.integers(0, RECENT, len(cancels))
    commands["order_id"][cancels] = commands["order_id"][named]
    commands["account"][cancels] = commands["account"][named]
    return commands
