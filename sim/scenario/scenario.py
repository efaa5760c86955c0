"""The frozen, fully resolved scenario: what a run is made of."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, final

from marginquake.sim.core.data_files import CONTENT_KEY, file_digest, has_changed
from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.core.plugins import import_class, source_digest, source_digest_now
from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario import yaml_tree
from marginquake.sim.scenario.config import RULE_BLOCKS, MarketConfig, RecordConfig, ScenarioHead
from marginquake.sim.scenario.places import Places
from marginquake.sim.scenario.unlikely import warnings_of
from marginquake.sim.scenario.unlikely.look import MarketLook
from marginquake.sim.scenario.yaml_tree import CONTENT_OF

HEAD_FIELDS: Final = tuple(ScenarioHead.model_fields)
MARKET_FIELDS: Final = tuple(name for name in MarketConfig.model_fields if name != "name")
OTHER_FIELDS: Final = ("extends", "markets", "populations", "python_path")
SCENARIO_FIELDS: Final = (*HEAD_FIELDS, *MARKET_FIELDS, *OTHER_FIELDS)
NOT_OF_THE_MARKET: Final = ("name", "question", "description", "seed", "meant", "python_path")
"""Fields that do not change what happens (the seed is told apart in a run's name): no part of the digest."""
MAIN_MARKET: Final = "main"
NOT_CHECKED: Final = "unread_class"
"""The warning that `meant` does not silence: a file cannot say that it need not be looked at."""
CLASS_KEYS: Final = tuple(
    dict.fromkeys(
        (*yaml_tree.DISCRIMINATORS, *(family.key for family in RULE_BLOCKS.values()), "ranking", "allocation")
    )
)
"""Fields whose value may be `module.path:Class`."""


@final
@dataclass(frozen=True, slots=True)
class Population:
    """One population.  `market`: name of the market it trades; `config`: its class's own ParticipantConfig.

    `book`: the accounts it opens with, row by row, where `accounts` names a file.
    """

    name: str
    type: str
    market: str
    participant_class: Callable[..., Any]
    config: Any
    book: OpeningBook | None = None

    @property
    def count(self) -> int:
        """How many accounts it has."""
        return int(self.config.accounts) if self.book is None else len(self.book)


@final
@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario with every default filled in.  Durations are int nanoseconds, amounts quote currency.

    Two are equal if they describe the same market, populations and seed, wherever they were read from.
    `markets[0]` is the first market; `populations` keeps the order of the file.
    """

    name: str
    question: str
    description: str
    seed: int
    duration: int
    warmup: int
    step: int
    record: RecordConfig
    markets: tuple[MarketConfig, ...]
    populations: Mapping[str, Population]
    path: Path = field(compare=False)
    source_text: str = field(compare=False, repr=False)
    overrides: tuple[str, ...] = field(compare=False, default=())
    python_path: tuple[str, ...] = field(compare=False, default=())
    meant: tuple[str, ...] = field(compare=False, default=())
    """Names of warnings that are not said."""
    found_reading: tuple[ScenarioWarning, ...] = field(compare=False, repr=False, default=())
    """Of `warnings`, those that only reading the file can tell: fields that no rule reads, rows of account books."""
    notes: tuple[str, ...] = field(compare=False, default=())
    """What was chosen where the scenario leaves it open and the usual does not fit, a line each."""
    places: Places | None = field(compare=False, repr=False, default=None)
    """Where each field is written."""
    _warnings: list[tuple[ScenarioWarning, ...]] = field(init=False, compare=False, repr=False, default_factory=list)

    @property
    def warnings(self) -> tuple[ScenarioWarning, ...]:
        """What is valid but hardly meant, as far as it is known before the run (docs/warnings.md); by place.

        Looked for when first asked for: quantiles of distributions take a library that loading does without.
        """
        if not self._warnings:
            self._warnings.append(self._unlikely() if self.places is not None else self.found_reading)
        return self._warnings[0]

    def _unlikely(self) -> tuple[ScenarioWarning, ...]:
        assert self.places is not None
        head = ScenarioHead.model_construct(**{name: getattr(self, name) for name in HEAD_FIELDS})
        found = list(self.found_reading)
        for market in self.markets:
            here = {
                name: (each.participant_class, each.config)
                for name, each in self.populations.items()
                if each.market == market.name
            }
            found += warnings_of(MarketLook(market, head, here, self.places))
        # markets share what the top of a file says: each once
        once = {
            (each.place, each.field, each.message): each
            for each in found
            if each.name not in self.meant or each.name == NOT_CHECKED
        }
        return tuple(sorted(once.values(), key=lambda each: (each.line == 0, each.file, each.line)))

    def market(self, name: str) -> MarketConfig:
        """The market of that name."""
        return next(market for market in self.markets if market.name == name)

    @property
    def is_whole(self) -> bool:
        """False where classes of the user were left unread: such a scenario is looked at, and not run."""
        return all(each.name != NOT_CHECKED for each in self.found_reading)

    @property
    def warmup_steps(self) -> int:
        """Steps before t = 0."""
        return self.warmup // self.step

    @property
    def steps(self) -> int:
        """Steps from the start of the warm-up to the end."""
        return (self.warmup + self.duration) // self.step

    def resolved(self) -> dict[str, Any]:
        """The whole scenario as plain data, every default written out, as YAML would say it."""
        head = ScenarioHead.model_construct(**{name: getattr(self, name) for name in HEAD_FIELDS})
        data: dict[str, Any] = head.model_dump(mode="json")
        if self.python_path:
            data["python_path"] = list(self.python_path)
        blocks = {market.name: market.model_dump(mode="json", exclude={"name"}) for market in self.markets}
        if list(blocks) == [MAIN_MARKET]:
            data.update(blocks[MAIN_MARKET])
        else:
            data["markets"] = blocks
        data["populations"] = {
            name: population.config.model_dump(mode="json") for name, population in self.populations.items()
        }
        return data

    def resolved_yaml(self) -> str:
        """`resolved` as a file; loading it gives an equal scenario."""
        return "# Every default written out; loading this file gives the same scenario.\n" + yaml_tree.dump(
            self.resolved()
        )

    def shown_as(self, name: str) -> "Scenario":
        """The same; warnings say `name` for the file it was read from."""
        found = tuple(replace(each, place=replace(each.place, source=name)) for each in self.found_reading)
        return replace(self, found_reading=found, places=self.places.shown_as(name) if self.places else None)

    def digest(self, model_version: str) -> str:
        """sha256 of all that decides what happens, but for the seed: the same on every machine.

        Input files count by content, not by place, and classes of the user by the text of their module: both as they
        are on disk now.  Of an account book it is the content that was read.
        """
        return self._digest(model_version, as_read=False)

    def digest_as_read(self, model_version: str) -> str:
        """`digest`, with input files as they were when the scenario was read, and classes as they were imported.

        It is that of the run that this process makes of the scenario, whatever happens to the files meanwhile.
        """
        return self._digest(model_version, as_read=True)

    def changed_files(self) -> list[str]:
        """Input files that are gone, or do not hold any more what they held when the scenario was read."""
        return sorted({file for file, sha256 in _files(self.resolved()) if has_changed(file, sha256)})

    def without_content(self) -> dict[str, Any]:
        """`resolved`, without what it says of the content of files: as if written before they were read."""
        data: dict[str, Any] = _without_content(self.resolved())
        return data

    def _digest(self, model_version: str, as_read: bool) -> str:
        data = {key: value for key, value in self.resolved().items() if key not in NOT_OF_THE_MARKET}
        for name, population in self.populations.items():
            if population.book is not None:
                data["populations"][name]["accounts"] |= {"file": population.book.digest, CONTENT_KEY: None}
        text_of = source_digest if as_read else source_digest_now
        modules = {name: text_of(import_class(name)) for name in _user_classes(data)}
        content = _by_content(data, as_read)
        canonical = json.dumps([model_version, content, modules], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def population_types(registry: Mapping[str, type[Any]]) -> dict[str, type[Any]]:
    """The participants of `registry` that a population may be: all but those that a block of the market configures."""
    return {name: kind for name, kind in registry.items() if configured_by(kind) is None}


def configured_by(kind: type[Any]) -> str | None:
    """The block of the market that configures this participant; None for those that are populations."""
    block: str | None = getattr(kind, "configured_by", None)
    return block


def _by_content(data: Any, as_read: bool) -> Any:
    """Plain data with the paths under `file` replaced by the digest of what is in the file."""
    if isinstance(data, dict):
        content = {key: _by_content(value, as_read) for key, value in data.items() if key != CONTENT_KEY}
        file = data.get(yaml_tree.FILE_KEY)
        if isinstance(file, str):
            known = data.get(CONTENT_KEY)
            content[yaml_tree.FILE_KEY] = f"sha256:{known}" if as_read and known else file_digest(file)
        return content
    return [_by_content(item, as_read) for item in data] if isinstance(data, list) else data


def _files(data: Any) -> Iterator[tuple[str, str]]:
    """Every input file whose content was noted, with its sha256."""
    if isinstance(data, dict):
        file, sha256 = data.get(yaml_tree.FILE_KEY), data.get(CONTENT_KEY)
        if isinstance(file, str) and isinstance(sha256, str):
            yield file, sha256
    items = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for item in items:
        yield from _files(item)


def _without_content(data: Any) -> Any:
    if isinstance(data, dict):
        noted = CONTENT_OF if CONTENT_KEY in data else ()
        return {key: _without_content(value) for key, value in data.items() if key not in noted}
    return [_without_content(item) for item in data] if isinstance(data, list) else data


def _user_classes(data: Any) -> set[str]:
    """All `module.path:Class` names under the keys that may have them."""
    if isinstance(data, dict):
        own = {name for key in CLASS_KEYS if isinstance(name := data.get(key), str) and ":" in name}
        return own.union(*map(_user_classes, data.values()))
    return set[str]().union(*map(_user_classes, data)) if isinstance(data, list) else set()
