"""Packages that are executed when somebody first asks them for something, not when they are imported.

`import mesa` imports pandas, networkx, scipy.spatial and its own experiments, which take several times as long as Mesa
itself; numba's first kernel imports all of scipy.linalg to see that one file of it is there.  A run uses nothing of
them.  The command line postpones them; whoever does use one gets it, only later.  `importlib.util.LazyLoader` does not
serve here: it wakes a module at any look, and `inspect.getmodule`, which Mesa calls, looks at all.
"""

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, final

UNUSED = (
    "pandas",
    "networkx",
    "mesa.experimental",
    "mesa.discrete_space",
    "mesa.experimental.continuous_space",
    "tqdm.auto",
)
"""What Mesa imports besides."""
UNUSED_AROUND_USED = ("scipy.linalg",)
"""What numba imports for the sake of one submodule."""


def postpone(names: Sequence[str] = UNUSED, open_names: Sequence[str] = UNUSED_AROUND_USED) -> None:
    """From now on, modules of these names are executed on first use; those imported already stay as they are.

    Importing a submodule is a use of `names`, but not of `open_names`: those submodules do without their package.
    """
    for finder in sys.meta_path:
        if isinstance(finder, _Postponing):
            sys.meta_path.remove(finder)
            break
    sys.meta_path.insert(0, _Postponing(frozenset(names), frozenset(open_names)))


@final
class _LaterModule(ModuleType):
    """A module that has not been executed yet: it knows its name, file and spec, and learns the rest when asked."""

    def __getattr__(self, name: str) -> Any:
        waiting = vars(self).get("__waiting__")
        if waiting is not None and waiting.execute(self):
            return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)


@final
class _LaterLoader(Loader):
    """Stands in for a module's own loader until the module is used."""

    def __init__(self, loader: Loader, is_open: bool) -> None:
        self._loader = loader
        self._is_open = is_open
        self._lock = threading.RLock()
        self._begun = False

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader would."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing yet; without `__path__`, importing a submodule wakes it."""
        if not self._is_open:
            vars(module).pop("__path__", None)
        vars(module)["__waiting__"] = self
        module.__class__ = _LaterModule

    def execute(self, module: ModuleType) -> bool:
        """Make it what it would have been, once; False for the thread that is at it and asks for more than there is."""
        with self._lock:
            if self._begun:
                return "__waiting__" not in vars(module)
            self._begun = True
            spec = module.__spec__
            assert spec is not None
            spec.loader = module.__loader__ = self._loader
            if spec.submodule_search_locations is not None:
                module.__path__ = spec.submodule_search_locations
            self._loader.exec_module(module)
            del vars(module)["__waiting__"]
            return True


@final
class _Postponing(MetaPathFinder):
    """Finds the named modules where they are, and gives them a loader that waits."""

    def __init__(self, names: frozenset[str], open_names: frozenset[str]) -> None:
        self._names = names | open_names
        self._open = open_names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a postponed module; None for every other."""
        if fullname not in self._names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LaterLoader(spec.loader, fullname in self._open)
        return spec
