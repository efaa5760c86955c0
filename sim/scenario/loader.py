"""A tree of YAML becomes a Scenario, or a list of problems each with its line."""

import re
import tempfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, final, get_args

from pydantic import BaseModel, ValidationError

from marginquake.sim.core.account_book import AccountBook
from marginquake.sim.core.data_files import CONTENT_KEY
from marginquake.sim.core.fields import WRITTEN
from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.core.plugins import import_class, is_outdated, search_in
from marginquake.sim.core.problems import MAX_TOLD, Place, Problem, ScenarioError, ScenarioWarning, closest, shown_path
from marginquake.sim.scenario import extends
from marginquake.sim.scenario.account_books.opening import open_book
from marginquake.sim.scenario.budget import MAX_ENTRIES
from marginquake.sim.scenario.checks import (
    MARKET_PERIODS,
    POPULATION_PERIODS,
    check_faults,
    check_head,
    check_market,
    check_other_side,
    check_periods,
    check_population,
    check_replay,
    needs_other_side,
    problem_at,
)
from marginquake.sim.scenario.config import NAME, MarketConfig, ScenarioHead
from marginquake.sim.scenario.extends import Source
from marginquake.sim.scenario.messages import (
    field_names,
    locate,
    numbers_written_as_booleans,
    problems_of,
    unknown_field,
)
from marginquake.sim.scenario.places import Places
from marginquake.sim.scenario.price_files import replay_notes, replay_warnings, settle_replay
from marginquake.sim.scenario.price_range import check_range, widened
from marginquake.sim.scenario.rule_blocks import settle_rules
from marginquake.sim.scenario.scenario import (
    CLASS_KEYS,
    HEAD_FIELDS,
    MAIN_MARKET,
    MARKET_FIELDS,
    SCENARIO_FIELDS,
    Population,
    Scenario,
    configured_by,
    population_types,
)
from marginquake.sim.scenario.yaml_tree import Node, dump

Model = TypeVar("Model", bound=BaseModel)


def load_scenario(path: str | Path, registry: Mapping[str, type[Any]], overrides: Sequence[str] = ()) -> Scenario:
    """Read, merge, check and resolve one scenario file.

    `registry`: population types by name, each a class with `config_type`.  `overrides`: `path.to.field=value`, in
    order, on top of the file.  Raises ScenarioError with every problem of the file.
    """
    path = Path(path)
    source = extends.read_source(path)
    for argument in overrides:
        extends.apply_override(source, argument)
    extends.absolute_files(source.root)
    loader = _Loader(source, registry)
    scenario = loader.load(path, source.text, tuple(overrides))
    if source.problems or scenario is None:
        shown = source.root.place.source
        raise ScenarioError(
            sorted(
                source.told(source.problems, loader.traits.union(SCENARIO_FIELDS)),
                key=lambda p: (p.place.line == 0, p.place.source != shown, p.place.source, p.place.line),
            )
        )
    return scenario


def load_again(scenario: Scenario, registry: Mapping[str, type[Any]]) -> Scenario:
    """The same scenario with its input files as they are now.  Raises ScenarioError if one does not do any more."""
    with tempfile.TemporaryDirectory(prefix="marginquake-") as folder:
        file = Path(folder) / scenario.path.name
        file.write_text(dump(scenario.without_content()), encoding="utf-8")
        try:
            fresh = load_scenario(file, registry)
        except ScenarioError as error:
            place = Place(str(scenario.path), 0, scenario.path.parent.absolute())
            raise ScenarioError([replace(problem, place=place) for problem in error.problems]) from None
    return replace(
        fresh,
        path=scenario.path,
        source_text=scenario.source_text,
        overrides=scenario.overrides,
        python_path=scenario.python_path,
        found_reading=(),
        notes=(),
        places=scenario.places,
    )


@final
class _Loader:
    """One pass over the merged tree of one scenario; problems are collected, never raised."""

    def __init__(self, source: Source, registry: Mapping[str, type[Any]]) -> None:
        assert isinstance(source.root.value, dict)
        self.root = source.root
        self.top = source.root.value
        self.registry = registry
        self.problems = source.problems
        self.unfinished = source.unfinished
        self.user_folders: list[Path] = []
        self.found_reading: list[ScenarioWarning] = []
        self.notes: list[str] = []
        self.every_population_was_read = True
        self.traits_of_user_classes: set[str] = set()

    def load(self, path: Path, text: str, overrides: tuple[str, ...]) -> Scenario | None:
        if self._is_a_fragment():
            way_out = f"write 'extends: {path.name}' in a population of a scenario"
            self.problems.append(Problem(self.root.place, "", f"is a population fragment, no scenario; {way_out}"))
            return None
        self._unknown_fields()
        head_tree = self._branch(HEAD_FIELDS)
        head = self._read(ScenarioHead, head_tree, {"name": path.stem} if "name" not in self.top else {})
        python_path = self._python_path()
        self._search_for_user_classes([Path.cwd(), path.parent.absolute(), *python_path])
        markets = self._markets()
        populations = self._populations()
        market_names = list(markets)
        places = Places(self.root)
        if head is not None:
            markets = {name: (self._widened(config, head, places), tree) for name, (config, tree) in markets.items()}
        for config, tree in markets.values():
            if config is not None:
                self.problems += check_market(config, tree)
                self.problems += check_replay(config, tree, head, self.root)
        for _, traits, tree in populations.values():
            if market_names:
                self.problems += check_population(traits, tree, market_names)
        if market_names and self.every_population_was_read:
            classes = {name: (kind, traits) for name, (kind, traits, _) in populations.items()}
            self.problems += check_other_side(self.root, classes, market_names, self.registry)
        if head is not None:
            step_node = self.top.get("step")
            step_place = step_node.place if step_node is not None else None
            self.problems += check_head(head, self.root, step_place)
            for market_config, tree in markets.values():
                if market_config is not None:
                    self.problems += check_range(market_config, head, places)
                    self.problems += check_periods(market_config, tree, MARKET_PERIODS, head.step, step_place)
                    self.problems += check_faults(market_config, tree, head.duration)
            for _, traits, tree in populations.values():
                self.problems += check_periods(traits, tree, POPULATION_PERIODS, head.step, step_place)
        books = self._books(populations, {name: config for name, (config, _) in markets.items()})
        if self.problems or head is None:
            return None
        for config, tree in markets.values():
            if config is not None:
                self.notes += replay_notes(config, tree)
                self.found_reading += replay_warnings(config, tree, head.duration)
        self.found_reading += self._outdated_classes()
        kept = {
            name: _population(name, participant_class, config, market_names[0], books.get(name))
            for name, (participant_class, config, _) in populations.items()
        }
        return Scenario(
            **{name: getattr(head, name) for name in HEAD_FIELDS},
            markets=tuple(settle_replay(config) for config, _ in markets.values() if config is not None),
            populations=kept,
            path=path,
            source_text=text,
            overrides=overrides,
            python_path=tuple(dict.fromkeys(map(str, self.user_folders))),
            found_reading=tuple(dict.fromkeys(self.found_reading)),
            notes=tuple(dict.fromkeys(self.notes)),
            places=places,
        )

    def _widened(self, config: MarketConfig | None, head: ScenarioHead, places: Places) -> MarketConfig | None:
        """The market with the ladder that it needs, where the scenario leaves that open."""
        if config is None:
            return None
        wider, note = widened(config, head, places)
        if note is not None:
            self.notes.append(note)
        return wider

    @property
    def traits(self) -> set[str]:
        """Fields of populations of every type, and of the classes of the user that are named here."""
        found = {name for participant in self.registry.values() for name in field_names(participant.config_type)}
        return found | self.traits_of_user_classes

    def _is_a_fragment(self) -> bool:
        """Fields of a population, and none of a scenario."""
        return not self.traits.isdisjoint(self.top) and self.top.keys().isdisjoint(SCENARIO_FIELDS)

    def _unknown_fields(self) -> None:
        fragment = self._fragment_at_the_top()
        for key, node in self.top.items():
            if len(self.problems) > MAX_TOLD:
                return
            if key not in SCENARIO_FIELDS and not node.deletes and node.place.source != fragment:
                problem = unknown_field(self.root, node, list(SCENARIO_FIELDS))
                inner = None if problem.suggestion else _path_of_field(MarketConfig, key)
                if inner is not None:
                    problem = Problem(problem.place, problem.path, problem.message, suggestion=inner)
                self.problems.append(problem)

    def _fragment_at_the_top(self) -> str | None:
        """The file that gave this one the `type` of a population, if any did: one problem instead of one a field."""
        kind = self.top.get("type")
        if kind is None or kind.place.source == self.root.place.source:
            return None
        message = "a population fragment; extend it inside a population, not at the top of a file"
        self._add(kind, message, value=None)
        return kind.place.source

    def _branch(self, names: Sequence[str]) -> Node:
        return Node({name: self.top[name] for name in names if name in self.top}, self.root.place, ())

    def _read(self, model: type[Model], tree: Node, given: Mapping[str, Any]) -> Model | None:
        """`tree` and the `given` fields as a model.  A null over something inherited falls back to the default,
        unless null means something there."""
        while True:
            try:
                read = model.model_validate({**tree.plain(), **given}, context=WRITTEN)
            except ValidationError as error:
                nodes = [locate(tree, details)[0] for details in error.errors(include_url=False)]
                if not _drop(tree, {id(node) for node in nodes if node.deletes and node.value is None}):
                    self.problems += problems_of(error, model, tree)
                    self.problems += numbers_written_as_booleans(model, tree, given)
                    return None
            else:
                self.problems += numbers_written_as_booleans(model, tree, given)
                return read

    def _markets(self) -> dict[str, tuple[MarketConfig | None, Node]]:
        """Markets by name with the tree each was read from; `main` alone where the file names none."""
        shared = self._branch(MARKET_FIELDS)
        named = self.top.get("markets")
        if named is None or named.deletes:
            return {MAIN_MARKET: self._market(shared, MAIN_MARKET)}
        found: dict[str, tuple[MarketConfig | None, Node]] = {}
        for name, node in self._named(named, "market"):
            overlay = node if isinstance(node.value, dict) else Node({}, node.place, node.path)
            assert isinstance(overlay.value, dict)
            if "name" in overlay.value:
                extra = overlay.value["name"]
                self.problems.append(unknown_field(overlay, extra, list(MARKET_FIELDS)))
                overlay = Node({k: v for k, v in overlay.value.items() if k != "name"}, node.place, node.path)
            found[name] = self._market(extends.merge(shared, overlay), name)
        if not found and not any(p.path.startswith("markets") for p in self.problems):
            self._add(named, "names no market; remove it, or write the markets below it")
        return found

    def _market(self, tree: Node, name: str) -> tuple[MarketConfig | None, Node]:
        settled, problems, warned = settle_rules(tree)
        self.problems += problems
        self.found_reading += warned
        return self._read(MarketConfig, settled, {"name": name}), settled

    def _populations(self) -> dict[str, tuple[type[Any], BaseModel, Node]]:
        named = self.top.get("populations")
        found: dict[str, tuple[type[Any], BaseModel, Node]] = {}
        if named is None or named.deletes:
            return found
        for name, node in self._named(named, "population"):
            if len(self.problems) > MAX_TOLD:
                break
            if (extends.POPULATIONS, name) in self.unfinished:
                continue
            if node.value is None:
                self._add(node, "empty; write 'type' and traits below it, or remove the line")
                continue
            participant_class = self._participant_class(node)
            if participant_class is None:
                continue
            config = self._read(participant_class.config_type, node, {})
            if config is not None:
                found[name] = participant_class, config, node
        entries = named.value.values() if isinstance(named.value, dict) else ()
        self.every_population_was_read = len(found) == sum(not entry.deletes for entry in entries)
        return found

    def _books(
        self,
        populations: Mapping[str, tuple[type[Any], BaseModel, Node]],
        markets: Mapping[str, MarketConfig | None],
    ) -> dict[str, OpeningBook]:
        """The account books that populations take, by population; held against a market only where that is right."""
        sound = not self.problems
        found: dict[str, OpeningBook] = {}
        for name, (_, traits, tree) in populations.items():
            if isinstance(getattr(traits, "accounts", None), AccountBook):
                market = markets.get(getattr(traits, "market", None) or next(iter(markets), "")) if sound else None
                opened = open_book(traits, tree, market)
                self.problems += opened.problems
                self.found_reading += opened.warnings
                if opened.book is not None:
                    found[name] = opened.book
                if market is not None and market.fuel_ratio is not None:
                    self._note_fuel(name, market, populations, list(markets))
        return found

    def _note_fuel(
        self,
        book: str,
        market: MarketConfig,
        populations: Mapping[str, tuple[type[Any], BaseModel, Node]],
        markets: Sequence[str],
    ) -> None:
        """A fuel ratio scales nobody where all who hold positions at the start hold those of a file."""
        for kind, traits, _ in populations.values():
            here = (getattr(traits, "market", None) or markets[0]) == market.name
            stated = isinstance(getattr(traits, "accounts", None), AccountBook)
            if here and not stated and needs_other_side(kind, traits) and getattr(traits, "scalable", True):
                return
        message = f"has no effect: the positions at the start are those of the file of {book}, which is not scaled"
        at = problem_at(self.root, ("fuel_ratio",), message, f"{market.fuel_ratio:g}")
        self.found_reading.append(
            ScenarioWarning("no_effect", at.place, at.path, message, "remove it, or change that", at.value)
        )

    def _named(self, node: Node, kind: str) -> list[tuple[str, Node]]:
        """The entries of a mapping by name, deleted ones left out."""
        if not isinstance(node.value, dict):
            self._add(node, f"must be a mapping: the name of each {kind}, and its fields below")
            return []
        entries = [(name, child) for name, child in node.value.items() if not child.deletes]
        if len(entries) > MAX_ENTRIES:
            self._add(entries[MAX_ENTRIES][1], f"is one {kind} more than the {MAX_ENTRIES:,} there may be", value=None)
            entries = entries[:MAX_ENTRIES]
        good: list[tuple[str, Node]] = []
        for name, child in entries:
            if len(self.problems) > MAX_TOLD:
                break
            if not _is_name(name):
                message = f"a {kind}'s name must begin with a letter and hold only letters, digits, '_' and '-'"
                self._add(child, message, value=None)
            elif child.value is not None and not isinstance(child.value, dict):
                self._add(child, "must be a mapping of fields")
            else:
                good.append((name, child))
        return good

    def _participant_class(self, node: Node) -> type[Any] | None:
        kind = node.child("type")
        known = sorted(population_types(self.registry))
        if kind is None or (kind.value is None and kind.deletes):
            path = (*node.path, "type")
            message = f"missing; one of {', '.join(known)}, or module.path:Class"
            self.problems.append(Problem(node.place, shown_path(path), message))
            return None
        if not isinstance(kind.value, str):
            self._add(kind, f"must be one of {', '.join(known)}, or module.path:Class")
            return None
        if kind.value in self.registry:
            return self._if_a_population(kind, self.registry[kind.value])
        if ":" not in kind.value:
            near = closest(kind.value, known)
            message = f"unknown type; one of {', '.join(known)}, or module.path:Class"
            self._add(kind, message, suggestion=near)
            return None
        try:
            found = import_class(kind.value)
        except ValueError as error:
            self._add(kind, str(error))
            return None
        config_type = getattr(found, "config_type", None)
        if not (isinstance(config_type, type) and issubclass(config_type, BaseModel)):
            self._add(kind, "the class has no config_type; subclass marginquake.agents.Participant")
            return None
        if not {"type", "market"} <= config_type.model_fields.keys():
            self._add(kind, "its config_type is not a ParticipantConfig: it lacks 'type' or 'market'")
            return None
        self.traits_of_user_classes |= {*field_names(config_type)}
        return self._if_a_population(kind, found)

    def _if_a_population(self, node: Node, participant_class: type[Any]) -> type[Any] | None:
        block = configured_by(participant_class)
        if block is None:
            return participant_class
        self._add(node, f"is no population: every market has one; the block `{block}` configures it")
        return None

    def _outdated_classes(self) -> list[ScenarioWarning]:
        """Classes of the user whose module was edited after this process had imported it."""
        said, way_out = (
            "its module has been edited since Python imported it, and goes on as it was",
            "start Python again",
        )
        return [
            ScenarioWarning("edited_class", node.place, shown_path(node.path), said, way_out, node.shown())
            for node in self._user_classes()
            if is_outdated(import_class(str(node.value)))
        ]

    def _user_classes(self) -> list[Node]:
        """The nodes that name a class of the user."""
        return [
            node
            for node in self.root.walk()
            if node.path[-1:] and node.path[-1] in CLASS_KEYS and isinstance(node.value, str) and ":" in node.value
        ]

    def _search_for_user_classes(self, folders: Sequence[Path]) -> None:
        """If any are named: they may lie in `folders`, or beside the file that names them."""
        places = [node.place.folder for node in self._user_classes()]
        if places:
            self.user_folders = [*folders, *places]
            search_in(self.user_folders)

    def _python_path(self) -> list[Path]:
        """Folders with classes of the user, besides the current one and the scenario's."""
        node = self.top.get("python_path")
        if node is None or node.deletes:
            return []
        entries = node.value if isinstance(node.value, list) else [node]
        folders = [entry.place.folder / entry.value for entry in entries if isinstance(entry.value, str)]
        if len(folders) < len(entries):
            self._add(node, "must be a folder or a list of folders")
        return folders

    def _add(self, node: Node, message: str, value: str | None = "", suggestion: str | None = None) -> None:
        shown = node.shown() if value == "" and node.value is not None else None
        self.problems.append(Problem(node.place, shown_path(node.path), message, shown, suggestion))


def _population(
    name: str, participant_class: type[Any], config: Any, first_market: str, book: OpeningBook | None
) -> Population:
    """The market a population does not name is the first."""
    resolved = config if config.market is not None else config.model_copy(update={"market": first_market})
    if book is not None:
        block = resolved.accounts.model_copy(update={CONTENT_KEY: book.digest.removeprefix("sha256:")})
        resolved = resolved.model_copy(update={"accounts": block})
    return Population(name, resolved.type, resolved.market, participant_class, resolved, book)


def _drop(tree: Node, doomed: Container[int]) -> bool:
    """Take the nodes with these `id`s out of the tree; False if there were none."""
    dropped = False
    for node in list(tree.walk()):
        if isinstance(node.value, dict):
            for key in [key for key, child in node.value.items() if id(child) in doomed]:
                del node.value[key]
                dropped = True
    return dropped


def _is_name(name: str) -> bool:
    return re.fullmatch(NAME, name) is not None


def _path_of_field(model: type[BaseModel], name: str) -> str | None:
    """Where in the blocks of a market a field of that name is, if there is exactly one."""
    found: set[str] = set()

    def search(current: type[BaseModel], prefix: str) -> None:
        for key, info in current.model_fields.items():
            if key == name and prefix:
                found.add(prefix + key)
            for arm in (info.annotation, *get_args(info.annotation)):
                for block in (arm, *get_args(arm)):
                    if isinstance(block, type) and issubclass(block, BaseModel):
                        search(block, f"{prefix}{key}.")

    search(model, "")
    return found.pop() if len(found) == 1 else None
