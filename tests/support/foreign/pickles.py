"""Pickles that try to act, and mutants of a real one; run as a program it reads them all under a guard.

`python -m tests.support.foreign.pickles SEED COUNT` prints what came of it as JSON: how many were read and refused,
what was done that must not be, the memory they took, and the longest time.
"""

import contextlib
import io
import json
import pickle
import pickletools
import random
import resource
import sys
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

ACTS = (
    "exec", "compile", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.remove", "os.rename",
    "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate", "os.putenv", "os.kill", "subprocess.",
    "shutil.", "socket.", "ctypes.", "open", "import", "pickle.find_class", "code.__new__", "function.__new__",
    "webbrowser.", "builtins.input", "sys.settrace", "sys.setprofile", "mmap.", "signal.",
)  # fmt: skip
"""Audit events that reading a model never causes, or what they begin with."""


def text(value: str) -> bytes:
    """An instruction that puts a text on the stack."""
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def named(module: str, name: str) -> bytes:
    """STACK_GLOBAL."""
    return text(module) + text(name) + b"\x93"


def called(function: bytes, *arguments: bytes) -> bytes:
    """REDUCE."""
    return function + b"(" + b"".join(arguments) + b"tR"


def attributes(**values: bytes) -> bytes:
    """A mapping."""
    return b"}(" + b"".join(text(name) + value for name, value in values.items()) + b"u"


def whole(body: bytes) -> bytes:
    """A pickle of it."""
    return b"\x80\x05" + body + b"."


OUR = "marginquake.sim.runs.model_pickle"
LOG = named("marginquake.sim.runs.event_log", "ParquetLog")
MODEL = named("marginquake.sim.model.model", "MarketModel")
VIEW = named("marginquake.sim.market.view", "MarketView")
SCENARIO = named("marginquake.sim.scenario.scenario", "Scenario")
TOUCH = text("touch /tmp/marginquake-was-here")
INT64 = called(named(OUR, "build_dtype"), text("<i8"))
DOUBLED = b")" + b"".join(b"\x94h" + bytes([n]) + b"\x86" for n in range(60))
"""A tuple of a tuple twice, sixty deep: 2^60 to walk through."""

ATTACKS: dict[str, bytes] = {
    "os.system": called(named("os", "system"), TOUCH),
    "posix.system": called(named("posix", "system"), TOUCH),
    "eval": called(named("builtins", "eval"), text("1")),
    "exec": called(named("builtins", "exec"), text("1")),
    "open": called(named("builtins", "open"), text("/tmp/marginquake-was-here"), text("w")),
    "getattr": called(named("builtins", "getattr"), VIEW, text("__init__")),
    "import": called(named("builtins", "__import__"), text("antigravity")),
    "import_module": called(named("importlib", "import_module"), text("antigravity")),
    "walk through a module of ours": called(named("marginquake.sim.runs.directory", "os.system"), TOUCH),
    "walk through the builders": called(named(OUR, "sys.modules"), TOUCH),
    "a function of ours that writes": called(named("marginquake.sim.runs.directory", "write_whole"), TOUCH, b"C\0"),
    "a helper beside the builders": called(named(OUR, "_by_name"), VIEW),
    "walk through a class on the list": called(named("marginquake.sim.market.view", "MarketView.__init__"), VIEW),
    "subclasses": called(named("marginquake.sim.market.view", "MarketView.__subclasses__")),
    "partial": called(named("functools", "partial"), named("os", "system"), TOUCH),
    "attrgetter": called(named("operator", "attrgetter"), text("x")),
    "methodcaller": called(named("operator", "methodcaller"), text("x")),
    "reconstructor": called(named("copyreg", "_reconstructor"), VIEW, named("builtins", "object"), b"N"),
    "newobj": called(named("copyreg", "__newobj__"), VIEW),
    "numpy load": called(named("numpy", "load"), text("/dev/zero")),
    "numpy fromfile": called(named("numpy", "fromfile"), text("/dev/zero")),
    "numpy memmap": called(named("numpy", "memmap"), text("/tmp/marginquake-was-here")),
    "numpy reconstruct": called(named("numpy._core.multiarray", "_reconstruct"), VIEW),
    "numpy's runstring": called(named("numpy.testing", "rundocs"), TOUCH),
    "subprocess": called(named("subprocess", "Popen"), TOUCH),
    "webbrowser": called(named("webbrowser", "open"), TOUCH),
    "a module of the standard library": named("antigravity", "geohash"),
    "main": named("marginquake.__main__", "main"),
    "text instruction GLOBAL": b"cos\nsystem\n" + b"(" + TOUCH + b"tR",
    "text instruction INST": b"(" + TOUCH + b"ios\nsystem\n",
    "instruction OBJ": b"(" + named("os", "system") + TOUCH + b"o",
    "a class called": called(VIEW),
    "a model made with arguments": MODEL + TOUCH + b"\x85\x81",
    "a model made with names": MODEL + b")" + attributes(x=TOUCH) + b"\x92",
    "an object of what is no class": named(OUR, "build_path") + b")\x81",
    "persistent id": b"Ptouch\n",
    "persistent id on the stack": TOUCH + b"Q",
    "extension 1": b"\x82\x01",
    "extension 2": b"\x83\x01\x00",
    "extension 4": b"\x84\x01\x00\x00\x00",
    "a class is changed": VIEW + attributes(refresh=VIEW) + b"b",
    "a builder is changed": named(OUR, "build_path") + attributes(x=b"N") + b"b",
    "an object is built twice": VIEW + b")\x81" + attributes(x=b"N") + b"b" + attributes(x=b"N") + b"b",
    "__class__": VIEW + b")\x81" + attributes(__class__=MODEL) + b"b",
    "__dict__": VIEW + b")\x81" + attributes(__dict__=b"}") + b"b",
    "__class__ by a slot": VIEW + b")\x81" + b"N" + attributes(__class__=MODEL) + b"\x86b",
    "a property by a slot": MODEL + b")\x81" + b"N" + attributes(agents=b"]") + b"\x86b",
    "a method is shadowed": MODEL + b")\x81" + attributes(record=VIEW) + b"b",
    "a method of another": MODEL + b")\x81" + attributes(record=called(named(OUR, "build_method"), LOG + b")\x81",
                                                                       text("finish"))) + b"b",
    "a method with a place to write to": called(named(OUR, "build_method"), LOG + b")\x81", text("move")),
    "a method of a class": called(named(OUR, "build_method"), MODEL, text("mro")),
    "a builtin method": called(named(OUR, "build_method"), b"]", text("append")),
    "a log that leads elsewhere": LOG + b")\x81" + attributes(
        _records=b"N", _market=text("../../x"), _group_rows=b"K\1", _part_rows=b"K\1", _waiting=b"]",
        _waiting_rows=b"K\0", _part=b"K\0", _rows_in_part=b"K\0",
    ) + b"b",
    "a log that says where it is": LOG + b")\x81" + attributes(_folder=text("/tmp")) + b"b",
    "a scenario without fields": SCENARIO + b")\x81" + b"]b",
    "a block without fields": named("marginquake.sim.scenario.config", "VenueConfig") + b")\x81" + attributes(x=b"N")
    + b"b",
    "a large array of nothing": called(
        named(OUR, "build_array"), b"C\0", b"\x8a\x08" + (10**18).to_bytes(8, "little") + b"\x85", INT64, text("C"),
        b"\x88",
    ),
    "a shape of texts": called(
        named(OUR, "build_array"), b"C\0", text("aaaaaaaa") + b"J\xff\xff\xff\x7f\x86", INT64, text("C"), b"\x88"
    ),
    "a type of objects": called(named(OUR, "build_dtype"), text("|O")),
    "a type with a program": called(named(OUR, "build_dtype"), text("(" * 300 + "3,)i8")),
    "a large bytearray": b"\x96" + (10**12).to_bytes(8, "little"),
    "large bytes": b"\x8e" + (10**12).to_bytes(8, "little"),
    "a large text": b"\x8d" + (10**12).to_bytes(8, "little"),
    "bytearray called": called(named("builtins", "bytearray"), b"\x8a\x08" + (10**12).to_bytes(8, "little")),
    "range in a deque": called(named("collections", "deque"), VIEW),
    "a far place in the memo": b"Nr\xff\xff\xff\x7f",
    "a text place in the memo": b"Np2147483647\n",
    "a key of two to the sixtieth": b"}" + DOUBLED + b"Ns",
    "a member of two to the sixtieth": b"\x8f(" + DOUBLED + b"\x90",
    "a frozen set of two to the sixtieth": b"(" + DOUBLED + b"\x91",
    "a number of a million digits": called(named(OUR, "build_decimal"), text("9" * 1_000_000)),
    "numbers that collide": b"}(" + b"".join(
        b"\x8a\x10" + (n * (2**61 - 1)).to_bytes(16, "little") + b"N" for n in range(1, 2000)
    ) + b"u",
    "a seed of a million words": called(
        named(OUR, "build_seed_sequence"), b"\x8b" + (10**6).to_bytes(4, "little") + b"\1" * 10**6, b")", b"K\4",
        b"K\0",
    ),
    "a view of ten to the eighteenth": called(
        named(OUR, "build_view"),
        called(named(OUR, "build_array"), b"C\x08" + b"\0" * 8, b"K\1\x85", INT64, text("C"), b"\x88"), b"K\0",
        b"\x8a\x08" + (10**18).to_bytes(8, "little") + b"\x85", b"K\0\x85", INT64, b"\x88",
    ),
    "a view outside": called(
        named(OUR, "build_view"),
        called(named(OUR, "build_array"), b"C\x08" + b"\0" * 8, b"K\1\x85", INT64, text("C"), b"\x88"),
        b"J\xf8\xff\xff\xff", b"K\1\x85", b"K\x08\x85", INT64, b"\x88",
    ),
    "marks without end": b"(" * 100_000,
    "lists in lists": b"]" * 100_000 + b"a" * 99_999 + b"0",
    "nothing": b"",
}  # fmt: skip
"""By what they try; each is to be refused."""


def small_model() -> bytes:
    """The pickle of a real model, with what is behind the first places of its large arrays left out."""
    import numpy as np

    from marginquake.sim.runs import model_pickle
    from tests.support.paths import TINY
    from tests.support.whole_market import EVERYTHING, open_model

    class Smaller(pickle.Pickler):
        def reducer_override(self, thing: Any) -> Any:
            if type(thing) is np.ndarray and not thing.dtype.hasobject:
                whole = thing if thing.base is None else thing.base
                if not isinstance(whole, np.ndarray) or whole.nbytes > 2_000:
                    return model_pickle._reduce_array(thing.reshape(-1)[:4].copy())
            return model_pickle.ArrayPickler.reducer_override(self, thing)  # type: ignore[arg-type]

    model = open_model(TINY, *EVERYTHING)
    for _ in range(20):
        model.step()
    stored = io.BytesIO()
    Smaller(stored, protocol=5).dump(model)
    return stored.getvalue()


def mutants(pickled: bytes, seed: int, count: int) -> Iterator[bytes]:
    """So many changed copies: bytes flipped, instructions exchanged, doubled, left out, names and attacks put in."""
    chance = random.Random(seed)
    starts = [place for _, _, place in pickletools.genops(pickled) if place is not None]
    parts = [pickled[a:b] for a, b in zip(starts, [*starts[1:], len(pickled)], strict=True)]
    names = [part for part in parts if part[:1] == b"\x8c"]
    bodies = [body for body in ATTACKS.values() if len(body) < 10_000]
    for _ in range(count):
        changed = list(parts)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            place, other = chance.randrange(2, len(changed)), chance.randrange(2, len(changed))
            match chance.randrange(7):
                case 0:
                    raw = bytearray(changed[place])
                    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
                    changed[place] = bytes(raw)
                case 1:
                    changed[place], changed[other] = changed[other], changed[place]
                case 2:
                    changed.insert(place, changed[other])
                case 3:
                    del changed[place]
                case 4:
                    where = chance.choice([n for n, part in enumerate(changed) if part[:1] == b"\x8c"] or [place])
                    changed[where] = chance.choice(
                        (*names, text("os"), text("system"), text("__class__"), text("posix"))
                    )
                case 5:
                    changed.insert(place, chance.choice(bodies))
                case _:
                    changed[place] = bytes([chance.randrange(256)]) + changed[place][1:]
        mutant = b"".join(changed)
        yield mutant[: chance.randrange(len(mutant))] if chance.random() < 0.05 else mutant


def main() -> None:
    """Read them all."""
    import importlib

    from marginquake.sim.runs import unpickler
    from marginquake.sim.runs.admitted import ADMITTED

    seed, count = map(int, sys.argv[1:3])
    pickled = small_model()
    unpickler.load(pickled)
    for name in ADMITTED:
        with contextlib.suppress(ImportError):  # of another version of Mesa
            importlib.import_module(name.partition(":")[0])
    watching, seen = [False], list[str]()

    def guard(event: str, arguments: tuple[Any, ...]) -> None:
        if watching[0] and event.startswith(ACTS):
            known = event == "import" and str(arguments[0]).startswith("marginquake.sim.kernels")
            seen.extend([] if known else [f"{event} {arguments!r}"[:200]])

    sys.addaudithook(guard)
    before, slowest, read, refused, acted = _memory(), 0.0, 0, dict[str, int](), dict[str, list[str]]()
    attacks = {name: whole(body) for name, body in ATTACKS.items()}
    numbered = ((f"mutant {n}", mutant) for n, mutant in enumerate(mutants(pickled, seed, count)))
    let_in = []
    for name, data in chain(attacks.items(), numbered):
        begun = time.perf_counter()
        watching[0] = True
        try:
            unpickler.load(data)
        except Exception as error:
            watching[0] = False
            refused[type(error).__name__] = refused.get(type(error).__name__, 0) + 1
        else:
            watching[0] = False
            read += 1
            let_in += [name] if name in attacks else []
        slowest = max(slowest, time.perf_counter() - begun)
        if seen:
            acted[name] = list(seen)
            seen.clear()
    watching[0] = True
    pickle.loads(whole(called(named("os", "getcwd"))))  # the guard sees what it must
    watching[0] = False
    print(json.dumps({
        "tried": len(attacks) + count, "read": read, "refused": refused, "acted": acted, "let_in": let_in,
        "guard_sees": seen, "more_memory_mb": _memory() - before, "slowest_s": slowest,
    }))  # fmt: skip


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
