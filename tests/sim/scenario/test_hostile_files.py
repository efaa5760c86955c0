"""Scenario files that were made to do harm: each is refused at once, with file and line, and shows nobody's secrets."""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from marginquake.sim.core.problems import MAX_TOLD, ScenarioError
from marginquake.sim.scenario import extends
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.scenario.yaml_tree import read_plain
from marginquake.sim.studies.design import load_comparison, load_sweep
from tests.support.fake_participants import FAKE_TYPES

SECRET = "hunter2-swordfish"
LAUGHS = "\n".join(
    ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    + [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 9)]
)
TEXTS: Mapping[str, str] = {
    "a billion laughs": LAUGHS,
    "laughs of mappings": LAUGHS.replace("[", "{x: [").replace("]", "]}"),
    "laughs of long texts": f"a: &a {'x' * 300_000}\nb: [{', '.join(['*a'] * 1000)}]",
    "aliases as deep as a well": "a0: &a0 [[[[1]]]]\n"
    + "\n".join(f"a{k}: &a{k} [[[[*a{k - 1}]]]]" for k in range(1, 40)),
    "450 brackets": "a: " + "[" * 450 + "]" * 450,
    "a million brackets": "a: " + "[" * 1_000_000,
    "60 brackets": "a: " + "[" * 60 + "]" * 60,
    "60 braces": "a: " + "{a: " * 60 + "1" + "}" * 60,
    "60 dashes": "a:\n  " + "- " * 60 + "1",
    "keys that are lists": "? " * 200 + "a",
    "200,000 values": f"a: [{', '.join(['1'] * 200_000)}]",
    "200,000 fields": "\n".join(f"f{k}: 1" for k in range(200_000)),
    "more text than a scenario has": "# " + "x" * 5_000_000,
    "an alias of nothing": "a: *b",
    "an alias as a field's name": "a: &a [1]\n*a : 2\n",
    "a tag that builds objects": 'a: !!python/object/apply:os.system ["true"]',
    "a merge of everything": "a: &a {b: 1}\nc: {<<: [*a, *a]}",
    "NUL": "duration: 1min\nquestion: a\0b",
    "half a character": 'question: "\\ud800"',
}
"""Texts that are no scenario, each by a way of its own."""
READERS: Mapping[str, Callable[[Path], object]] = {
    "scenario": lambda path: load_scenario(path, FAKE_TYPES),
    "sweep": load_sweep,
    "comparison": load_comparison,
}


def refused(read: Callable[[], object]) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        read()
    assert str(caught.value)
    assert len(caught.value.problems) <= MAX_TOLD + 1
    assert all(len(str(problem)) < 1000 for problem in caught.value.problems)
    return caught.value


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_refused_with_its_line(name: str, reader: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(TEXTS[name], encoding="utf-8", newline="")
    error = refused(lambda: READERS[reader](path))
    for problem in error.problems:
        assert problem.place.source == str(path)
        assert problem.place.line or "holds more than 4 MB" in problem.message


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_refused_where_it_is_extended_or_set(name: str, tmp_path: Path) -> None:
    (tmp_path / "hostile.yaml").write_text(TEXTS[name], encoding="utf-8", newline="")
    over, inside, plain = tmp_path / "over.yaml", tmp_path / "inside.yaml", tmp_path / "plain.yaml"
    over.write_text("duration: 1min\nextends: hostile.yaml\n")
    inside.write_text("duration: 1min\npopulations:\n  longs: {extends: hostile.yaml}\n")
    plain.write_text("duration: 1min\n")
    for path in (over, inside):
        assert all(problem.place.line for problem in refused(lambda p=path: load_scenario(p, FAKE_TYPES)).problems)
    refused(lambda: load_scenario(plain, FAKE_TYPES, [f"venue.fees={TEXTS[name]}"]))


@pytest.mark.parametrize("name", ["a billion laughs", "450 brackets", "200,000 values"])
def test_a_resolved_scenario_that_is_read_back_has_the_same_bounds(name: str) -> None:
    refused(lambda: read_plain(TEXTS[name]))


def test_a_diamond_of_files_is_legal_and_each_file_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2^25 ways lead to the last file."""
    for k in range(25):
        (tmp_path / f"f{k}.yaml").write_text(f"extends: [f{k + 1}.yaml, f{k + 1}.yaml]\n")
    (tmp_path / "f25.yaml").write_text("duration: 1min\n")
    read: list[Path] = []
    inner = extends.read_bounded

    def counted(path: Path, most: int) -> bytes:
        read.append(path)
        return inner(path, most)

    monkeypatch.setattr(extends, "read_bounded", counted)
    assert load_scenario(tmp_path / "f0.yaml", FAKE_TYPES).duration == 60_000_000_000
    assert len(read) == 26


def test_a_diamond_gives_what_its_last_branch_says(tmp_path: Path) -> None:
    (tmp_path / "root.yaml").write_text("duration: 1min\nseed: 1\n")
    (tmp_path / "left.yaml").write_text("extends: root.yaml\nseed: 2\n")
    (tmp_path / "right.yaml").write_text("extends: root.yaml\nduration: 2min\n")
    (tmp_path / "top.yaml").write_text("extends: [left.yaml, right.yaml]\n")
    scenario = load_scenario(tmp_path / "top.yaml", FAKE_TYPES)
    assert (scenario.seed, scenario.duration) == (1, 120_000_000_000)


def test_fragments_that_multiply_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text("type: retail\n" + "\n".join(f"f{k}: 1" for k in range(5000)))
    populations = "\n".join(f"  p{k}: {{extends: wide.yaml}}" for k in range(100))
    path = tmp_path / "many.yaml"
    path.write_text(f"duration: 1min\npopulations:\n{populations}\n")
    error = refused(lambda: load_scenario(path, FAKE_TYPES))
    assert "more than 100,000 values" in str(error)
    assert error.problems[0].place.line > 2


def test_a_chain_of_more_files_than_anybody_writes_is_refused(tmp_path: Path) -> None:
    for k in range(300):
        (tmp_path / f"f{k}.yaml").write_text(f"extends: f{k + 1}.yaml\n")
    error = refused(lambda: load_scenario(tmp_path / "f0.yaml", FAKE_TYPES))
    assert "more than 100 files" in str(error)
    assert error.problems[0].place.line == 1


@pytest.mark.parametrize("kind", ["fragments that are not there", "bad names", "wrong types", "deleted fields"])
def test_many_mistakes_are_not_told_one_by_one(kind: str, tmp_path: Path) -> None:
    many = range(8000)
    path = tmp_path / "many.yaml"
    lines = {
        "fragments that are not there": "populations:\n" + "\n".join(f"  p{k}: {{extends: no{k}.yaml}}" for k in many),
        "bad names": "populations:\n" + "\n".join(f"  0{k}: {{}}" for k in many),
        "wrong types": "populations:\n" + "\n".join(f"  p{k}: {{type: retial}}" for k in many),
        "deleted fields": "extends: base.yaml\nvenue:\n" + "\n".join(f"  f{k}: null" for k in many),
    }
    (tmp_path / "base.yaml").write_text("venue:\n" + "\n".join(f"  f{k}: 1" for k in many))
    path.write_text(f"duration: 1min\n{lines[kind]}\n")
    if kind == "deleted fields":
        load_scenario(path, FAKE_TYPES)
    else:
        refused(lambda: load_scenario(path, FAKE_TYPES))


# -- files that are none


def odd_files(folder: Path) -> dict[str, str]:
    """Names of what is no file of text, and some of what is no name."""
    (folder / "itself.yaml").symlink_to("itself.yaml")
    (folder / "nowhere.yaml").symlink_to("gone.yaml")
    (folder / "endless.yaml").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    return {
        "a link to itself": "itself.yaml",
        "a link to nothing": "nowhere.yaml",
        "a pipe": "pipe.yaml",
        "an endless device": "endless.yaml",
        "a folder": "folder.yaml",
        "a name with NUL": "a\0b.yaml",
        "a folder with NUL": "a\0b/c.yaml",
        "a long name": "n" * 5000,
        "this folder": ".",
        "the folder above": "..",
        "the root": "/",
        "a line feed": "a\nb.yaml",
        "an empty text": "",
    }


ODD = [
    "a link to itself", "a link to nothing", "a pipe", "an endless device", "a folder", "a name with NUL",
    "a folder with NUL", "a long name", "this folder", "the folder above", "the root", "a line feed", "an empty text",
]  # fmt: skip
PLACES: Mapping[str, str] = {
    "extends": "duration: 1min\nextends: {name}\n",
    "a fragment": "duration: 1min\npopulations:\n  longs: {{extends: {name}}}\n",
    "an account book": "duration: 1min\npopulations:\n  longs: {{type: retail, accounts: {{file: {name}}}}}\n",
    "a distribution": (
        "duration: 1min\npopulations:\n"
        "  longs: {{type: retail, leverage: {{distribution: empirical, file: {name}, column: x}}}}\n"
    ),
    "a replay": "duration: 1min\nindex: {{fundamental: {{type: replay, file: {name}}}}}\n",
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marginquake.sim.core.outside.bounded_files.PATIENCE_S", 0.05)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_refused_where_it_is_named(odd: str, place: str, tmp_path: Path) -> None:
    name = odd_files(tmp_path)[odd].replace("\0", "\\0").replace("\n", "\\n")
    path = tmp_path / "scenario.yaml"
    path.write_text(PLACES[place].format(name=f'"{name}"'))
    error = refused(lambda: load_scenario(path, FAKE_TYPES))
    for problem in error.problems:
        assert problem.place.source == str(path)
        assert problem.place.line in (2, 3)
        assert "\n" not in str(problem)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_refused_on_the_command_line(
    odd: str, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = odd_files(tmp_path)[odd]
    refused(lambda: READERS[reader](Path(name)))


def test_a_pipe_that_somebody_writes_is_a_scenario(tmp_path: Path) -> None:
    """As `marginquake validate <(make_scenario)` has it."""
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text("duration: 1min\n"))
    writer.start()
    assert load_scenario(path, FAKE_TYPES).duration == 60_000_000_000
    writer.join()


# -- files of others

FOREIGN: Mapping[str, str] = {
    "passwd": f"root:x:0:0:{SECRET},,,:/root:/bin/bash\n{SECRET}:x:1:1:x:/:/bin/sh\n",
    "shadow": f"root:$6${SECRET}$a.b/c:19000:0:99999:7:::\n*:{SECRET}\n",
    "one word": f"{SECRET}\n",
    "a number": "7263549182\n",
    "a key": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n",
    "an environment": f"PASSWORD={SECRET}\nexport TOKEN='{SECRET}'\n",
    "ini": f"[default]\nsecret = {SECRET}\n",
    "settings": f"user: me\npassword: {SECRET}\n{SECRET}: 1\n",
    "settings with a name": f"name: {SECRET}\npassword: {SECRET}\n{SECRET}: 1\n",
    "json": f'{{"auth": {{"token": "{SECRET}"}}}}',
    "an alias": f"a: *{SECRET}\n",
    "anchors": f"a: &{SECRET} 1\nb: &{SECRET} 2\nc: !{SECRET} 1\n",
    "a tag handle": f"a: !{SECRET}!x 1\n",
    "a list": f"- {SECRET}\n- {SECRET}\n",
    "words": f"{SECRET} {SECRET}\n{SECRET}\n",
    "comma": f"{SECRET},{SECRET}2\nb,c\n",
    "quoted": f'"{SECRET}\n{SECRET}',
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", FOREIGN)
def test_no_message_shows_what_stands_in_a_file_of_others(name: str, place: str, tmp_path: Path) -> None:
    content = FOREIGN[name]
    secret = content.strip() if name == "a number" else SECRET
    (tmp_path / "foreign").write_text(content)
    path = tmp_path / "scenario.yaml"
    path.write_text(PLACES[place].format(name="foreign"))
    error = refused(lambda: load_scenario(path, FAKE_TYPES))
    assert secret not in str(error)
    assert all(problem.place.line for problem in error.problems)


def test_a_table_of_ones_own_is_told_about_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("size,lever\n1,5\n2,10\n")
    path = tmp_path / "scenario.yaml"
    path.write_text(PLACES["a distribution"].format(name="own.csv"))
    assert "it has size, lever" in str(refused(lambda: load_scenario(path, FAKE_TYPES)))


# -- tables

TABLES: Mapping[str, str] = {
    "two million columns": "," * 2_000_000 + "\n" + "," * 2_000_000 + "\n",
    "two million names": ",".join(map(str, range(300_000))) + "a\n1\n",
    "one cell of ten million": "x,leverage,price,time\n" + "1" * 10_000_000 + ",1,1,1\n",
    "a number of a million digits": "x,leverage,price,time\n" + ",".join(["1" * 100_000] * 4) + "\n",
    "digits of another script": "x,leverage,price,time\n" + ",".join(["\u0661\u0662"] * 4) + "\n",
    "an exponent without end": "x,leverage,price,time\n" + ",".join(["1e999"] * 4) + "\n",
    "dates far out": "x,leverage,price,time\nx,x,1,9999-12-31T23:59:59-23:59\nx,x,1,0001-01-01T00:00:00+23:59\n",
    "an open quote": 'x,leverage,price,time\n"' + "a\n" * 200_000,
    "spaces": "x,leverage,price,time\n" + ",".join(["1" + " " * 100_000 + "x"] * 4) + "\n",
}


@pytest.mark.parametrize("place", ["an account book", "a distribution", "a replay"])
@pytest.mark.parametrize("name", TABLES)
def test_a_hostile_table_is_refused(name: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLES[name], encoding="utf-8")
    path = tmp_path / "scenario.yaml"
    path.write_text(PLACES[place].format(name="table.csv"))
    refused(lambda: load_scenario(path, FAKE_TYPES))


@pytest.mark.parametrize("place", ["an account book", "a distribution", "a replay"])
def test_a_table_larger_than_can_be_read_is_refused(place: str, tmp_path: Path) -> None:
    with (tmp_path / "table.csv").open("wb") as file:
        file.truncate(2**40)
    path = tmp_path / "scenario.yaml"
    path.write_text(PLACES[place].format(name="table.csv"))
    assert "512 MB" in str(refused(lambda: load_scenario(path, FAKE_TYPES)))


# -- numbers and overrides

NUMBERS = [
    "9" * 400, "-" + "9" * 41, "0x" + "f" * 400, "9" * 100_000, "9" * 100_000 + "s", "1" + "0" * 99_000 + "%", "1e999",
    "\u0661\u0662s", "\uff11\uff12", "1" + " " * 99_000 + "s", "1a" * 40_000, "1 min " * 10_000, "!!int abc",
    "!!float abc", "!!int 1_000", "0b11", "1:30", "+ 1", "\u00b2",
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: f"{number[:12]!r} of {len(number)}")
@pytest.mark.parametrize("field", ["duration", "venue.fees.maker", "venue.insurance.initial", "contract.initial_price"])
def test_a_number_that_nobody_writes_is_refused(field: str, number: str, tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text("duration: 1min\n")
    refused(lambda: load_scenario(path, FAKE_TYPES, [f"{field}={number}"]))


@pytest.mark.parametrize(
    "argument",
    [
        ".".join("a" * 5000) + "=1", "venue.brackets.\u00b2.maintenance=1", "venue.brackets.\u0661.maintenance=1",
        f"venue.brackets.{'9' * 5000}.maintenance=1", "question=\udcff", "\udcff=1", "populations.\0.x=1", "a\0=1",
        "venue.fees=" + "[" * 5000, "venue.fees=*a", "venue.fees=&a [*a]",
    ],
    ids=lambda argument: ascii(argument[:40]),
)  # fmt: skip
def test_a_hostile_override_is_refused(argument: str, tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text("duration: 1min\nvenue:\n  brackets: [{notional_cap: 1M, max_leverage: 10, maintenance: 1%}]\n")
    refused(lambda: load_scenario(path, FAKE_TYPES, [argument]))
