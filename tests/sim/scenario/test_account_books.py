"""Account books: what a file of accounts may look like, what its cells mean, and what is said of it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.scenario.scenario import Scenario
from tests.support.fake_participants import FAKE_TYPES

ROWS = (
    ("A-1", "long", "10", "1000.5", "100500", ""),
    ("A-2", "SELL", "", "2000", "", "-30000"),
    ("007", "", "3", "500", "99000.4", ""),
    ("Müller, Anna", "s", "20", "", "101000", "40000"),
)
NAMES = ("id", "side", "leverage", "collateral", "entry_price", "notional")


def table(rows: tuple[tuple[str, ...], ...] = ROWS, names: tuple[str, ...] = NAMES, delimiter: str = ",") -> str:
    def quoted(cell: str) -> str:
        return f'"{cell}"' if delimiter in cell or "," in cell else cell

    return "".join(delimiter.join(map(quoted, row)) + "\n" for row in (names, *rows))


def parquet(rows: tuple[tuple[str, ...], ...] = ROWS) -> bytes:
    """The same table with typed columns, as a data frame would be written."""
    columns: dict[str, Any] = {}
    for place, name in enumerate(NAMES):
        cells = [row[place] or None for row in rows]
        typed = cells if name in ("id", "side") else [None if cell is None else float(cell) for cell in cells]
        columns[name] = pa.array(typed)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def load(folder: Path, content: str | bytes, block: str = "{file: book.csv}", *overrides: str) -> Scenario:
    raw = content.encode() if isinstance(content, str) else content
    (folder / "book.csv").write_bytes(raw)
    scenario = folder / "market.yaml"
    scenario.write_text(
        "duration: 1min\npopulations:\n"
        f"  mine: {{type: retail, margin_mode: isolated, accounts: {block}}}\n  carry: {{type: hedger}}\n"
    )
    return load_scenario(scenario, FAKE_TYPES, overrides)


def book_of(folder: Path, content: str | bytes, block: str = "{file: book.csv}", *overrides: str) -> OpeningBook:
    book = load(folder, content, block, *overrides).populations["mine"].book
    assert book is not None
    return book


def refused(folder: Path, content: str | bytes, block: str = "{file: book.csv}") -> list[str]:
    """What is said of a book, without the folder."""
    with pytest.raises(ScenarioError) as caught:
        load(folder, content, block)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def notes(folder: Path, content: str, block: str = "{file: book.csv}", *overrides: str) -> str:
    return "\n".join(map(str, load(folder, content, block, *overrides).found_reading))


def row(side: str = "long", leverage: str = "10", collateral: str = "1000", entry: str = "100000") -> str:
    return f"side,leverage,collateral,entry_price\n{side},{leverage},{collateral},{entry}\nlong,10,1000,100000\n"


DIALECTS: dict[str, str | bytes] = {
    "commas": table(),
    "semicolons": table(delimiter=";"),
    "a first line for spreadsheets": "sep=;\r\n" + table(delimiter=";"),
    "tabs": table(delimiter="\t"),
    "bars": table(delimiter="|"),
    "byte order mark": b"\xef\xbb\xbf" + table().encode(),
    "UTF-16": table().encode("utf-16"),
    "CRLF": table().replace("\n", "\r\n"),
    "no last line end": table().rstrip("\n"),
    "all quoted": "".join(
        ",".join(f'"{cell}"' for cell in each) + "\n" for each in (NAMES, *ROWS)
    ),
    "spaces after commas": table().replace(",", ", ").replace("Müller,  Anna", "Müller, Anna"),
    "blank lines": "\n" + table().replace("\nA-2", "\n\nA-2") + "\n\n",
    "lines of commas": table().replace("\nA-2", "\n,,,,,\nA-2"),
    "one comma more at the end": table().replace("\n", ",\n").replace("notional,\n", "notional\n", 1),
    "headers as people write them": table(names=("ID", "Side", "LEVERAGE", "Collateral ", "Entry Price", "notional")),
    "columns in another order, and more of them": "".join(
        ",".join(f'"{cell}"' for cell in (*reversed(each), "x")) + "\n"
        for each in ((*NAMES[:-1], "notional"), *ROWS)
    ).replace('"x"', '"note"', 1),
    "Parquet": parquet(),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_book_is_read_whatever_its_dialect(dialect: str, tmp_path: Path) -> None:
    content = DIALECTS[dialect]
    if dialect == "spaces after commas":
        content = str(content).replace('"Müller,', '"Müller,')
    book = book_of(tmp_path, content)
    ids = [name.replace(",  ", ", ") for name in book.ids]
    assert ids == [each[0] for each in ROWS]
    assert book.side.tolist() == [1, -1, 0, -1]
    np.testing.assert_array_equal(book.leverage, [10, np.nan, 3, 20])
    np.testing.assert_array_equal(book.collateral, [1000.5, 2000, 500, np.nan])
    np.testing.assert_array_equal(book.entry_price, [100_500, np.nan, 99_000.4, 101_000])
    np.testing.assert_array_equal(book.notional, [np.nan, 30_000, np.nan, 40_000])


def test_rows_know_their_lines_also_behind_blank_ones_and_within_quotes(tmp_path: Path) -> None:
    text = 'id,leverage,note\n\na,5,"two\nlines"\n\nb,x,\n'
    assert book_of(tmp_path, text.replace("x", "5")).lines.tolist() == [3, 6]
    assert refused(tmp_path, text) == ["book.csv:6: leverage: value x: is not a number"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "book.csv: is empty"),
        (b"\n \n", "book.csv: is empty"),
        (b"id,leverage\n", "book.csv:1: has a header and no rows"),
        (b"id,leverage\n\n,\n", "book.csv:1: has a header and no rows"),
        (b"1,2,3\n4,5,6\n", "book.csv:1: must be a header"),
        (b"id,leverage,leverage\na,1,2\n", "book.csv:1: two columns are called 'leverage'"),
        (b"id,leverage\na,5\nM\xfcller,5\n", "book.csv:3: is not UTF-8 text"),
        (b"id,leverage\na,5\nb,\x005\n", "book.csv:3: is not text"),
        (b'id,leverage\na,5\n"b,5\n', "book.csv:3: is no CSV from here on"),
        (b"PK\x03\x04 sheet", "book.csv: is a spreadsheet or a zip file; unpack it, or export it as CSV"),
        (b"\x1f\x8b\x08 packed", "book.csv: is compressed; unpack it first"),
        (b"PAR1 cut off", "book.csv: is no Parquet file that can be read"),
        (b"name,amount\na,5\n", "book.csv:1: has none of side, leverage, collateral, notional, entry_price; it has"),
        (b"id\na\n", "book.csv:1: has none of side, leverage"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_the_reason(content: bytes, said: str, tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, content)
    assert problem.startswith(said)


@pytest.mark.parametrize("cell", ["NaN", "nan", "inf", "-Infinity", "1e999", "1,5", "1,000", "1'000", "1 000",
                                  "1.000,5", "1_000", "5%", "abc", "0x10", "--5", "$5", "5 USD", "1e5e5"])  # fmt: skip
@pytest.mark.parametrize("column", ["leverage", "collateral", "entry_price", "notional"])
def test_a_cell_that_is_no_plain_number_is_refused_with_its_line(column: str, cell: str, tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, f'id,{column}\na,5\nb,"{cell}"\n')
    assert problem.startswith(f"book.csv:3: {column}: value {cell}: ")


@pytest.mark.parametrize(
    ("column", "cell"),
    [("leverage", "0"), ("leverage", "-5"), ("leverage", "0.0009"), ("collateral", "-1"), ("collateral", "0"),
     ("entry_price", "0"), ("entry_price", "-5")],
)  # fmt: skip
def test_a_number_out_of_bounds_is_refused_with_its_line(column: str, cell: str, tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, f"id,{column}\na,5\nb,{cell}\n")
    assert problem.startswith(f"book.csv:3: {column}: value {cell}: must")


def test_an_account_without_a_position_may_be_empty(tmp_path: Path) -> None:
    assert book_of(tmp_path, "collateral,notional\n0,0\n5,10\n").collateral.tolist() == [0, 5]


def test_money_may_be_written_as_everywhere_and_leverage_with_an_x(tmp_path: Path) -> None:
    book = book_of(tmp_path, "leverage,collateral\n10x,1.5k\n2.5X,2M\n")
    assert book.leverage.tolist() == [10, 2.5]
    assert book.collateral.tolist() == [1500, 2e6]


@pytest.mark.parametrize("word", ["long", "LONG", "Buy", "b", "L", "1", "+1", "bid"])
def test_words_for_long(word: str, tmp_path: Path) -> None:
    assert book_of(tmp_path, f"side,leverage\n{word},5\n").side.tolist() == [1]


@pytest.mark.parametrize("word", ["short", "Short", "SELL", "s", "S", "-1", "\u22121", "ask"])
def test_words_for_short(word: str, tmp_path: Path) -> None:
    assert book_of(tmp_path, f"side,leverage\n{word},5\n").side.tolist() == [-1]


def test_a_sign_says_the_side_where_any_notional_is_negative(tmp_path: Path) -> None:
    assert book_of(tmp_path, "leverage,notional\n5,100\n5,-200\n5,0\n").side.tolist() == [1, -1, 0]
    assert book_of(tmp_path, "leverage,notional\n5,100\n5,200\n").side.tolist() == [0, 0]
    assert book_of(tmp_path, "side,notional\nshort,-100\nshort,200\nboth,300\n").side.tolist() == [-1, -1, 1]


def test_an_id_stands_once_and_is_kept_as_text(tmp_path: Path) -> None:
    assert book_of(tmp_path, "id,leverage\n0012,5\n12,5\n1e3,5\n,5\n").ids == ("0012", "12", "1e3", "line 5")
    assert refused(tmp_path, "id,leverage\n7,5\n8,5\n7,5\n") == ["book.csv:4: id: value 7: stands in line 2 already"]


def test_headers_are_named_letter_by_letter_and_null_leaves_a_column_unread(tmp_path: Path) -> None:
    text = "account,lev,collateral,notional,leverage\na,10,1000,5000,99\n"
    block = "{file: book.csv, columns: {id: account, leverage: lev, notional: null}}"
    book = book_of(tmp_path, text, block)
    assert (book.ids, book.leverage.tolist(), np.isnan(book.notional).all()) == (("a",), [10], True)
    assert refused(tmp_path, text, block.replace("account", "Account"))[0].endswith("did you mean 'account'?")


@pytest.mark.parametrize(("notional", "agrees"), [("10000", True), ("9901", True), ("10100", True), ("9900", False),
                                                  ("10200", False), ("5000", False), ("-10000", True)])  # fmt: skip
def test_all_three_of_leverage_collateral_and_notional_must_agree(notional: str, agrees: bool, tmp_path: Path) -> None:
    text = f"leverage,collateral,notional\n10,1000,{notional}\n"
    if agrees:
        assert len(book_of(tmp_path, text)) == 1
    else:
        (problem,) = refused(tmp_path, text)
        assert problem.startswith("book.csv:2: leverage 10 times collateral 1000 is 10000, and notional says ")
        assert len(book_of(tmp_path, text, "{file: book.csv, columns: {leverage: null}}")) == 1


def test_with_cross_margin_leverage_is_only_a_setting(tmp_path: Path) -> None:
    text = "leverage,collateral,notional\n10,1000,5000\n"
    assert len(book_of(tmp_path, text, "{file: book.csv}", "populations.mine.margin_mode=cross")) == 1


def test_faults_of_a_line_are_told_together_and_nothing_is_loaded(tmp_path: Path) -> None:
    said = refused(tmp_path, "id,side,leverage,collateral\na,up,x,-3\nb,long,5\n")
    assert [text.split(": ")[0] for text in said] == ["book.csv:2"] * 3 + ["book.csv:3"]


IMPOSSIBLE = {
    "liquidated": (row(entry="112000"), "liquidated already at 100000"),
    "liquidated short": (row("short", entry="90000"), "liquidated already at 100000"),
    "leverage": (row(leverage="126"), "leverage 126 is over the venue's maximum, 125"),
    "derived leverage": ("side,collateral,notional,entry_price\nlong,10,1260,100000\nlong,100,1000,100000\n",
                         "leverage 126 is over the venue's maximum, 125"),
    "bracket": (row(leverage="125", collateral="401"), "over what the venue's brackets allow at leverage 125"),
    "last bracket": (row(leverage="1", collateral="2bn"), "over what the venue's brackets allow at leverage 1"),
    "lot": (row(collateral="9.9"), "less than one lot"),
    "ladder": (row("short", entry="200000"), "is outside the prices of this market"),
    "below a tick": (row(entry="0.4"), "is outside the prices of this market"),
}  # fmt: skip


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_a_row_that_cannot_be_is_left_out_and_said_or_refused(kind: str, tmp_path: Path) -> None:
    text, why = IMPOSSIBLE[kind]
    loaded = load(tmp_path, text)
    assert "1 of 2 rows cannot be at the start and is left out: line 2: " in str(loaded.found_reading[0])
    assert why in str(loaded.found_reading[0])
    (problem,) = refused(tmp_path, text, "{file: book.csv, on_impossible: refuse}")
    assert problem.startswith("book.csv:2: cannot be at the start: ")
    assert why in problem


def test_a_position_limit_is_the_contracts(tmp_path: Path) -> None:
    said = notes(tmp_path, row(collateral="2000"), "{file: book.csv}", "contract.max_position_lots=150")
    assert "a position of 200 lots is over the contract's max_position_lots, 150" in said


@pytest.mark.parametrize(
    "text",
    [row(entry="109900"), row("short", entry="91300"), row(leverage="125", collateral="399"), row(collateral="10"),
     row(leverage="125", entry="99900", collateral="400"), row(entry="60000"), row(leverage="0.001", collateral="1M")],
)  # fmt: skip
def test_a_row_that_can_only_just_be_is_taken(text: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, text)
    book = loaded.populations["mine"].book
    assert book is not None
    assert not book.known, loaded.found_reading


def test_a_book_of_which_no_row_can_be_is_refused(tmp_path: Path) -> None:
    text = row(entry="150000").rsplit("\n", 2)[0] + "\n"
    (problem,) = refused(tmp_path, text)
    assert problem.startswith("book.csv:2: cannot be at the start: liquidated already")


def test_impossible_rows_are_told_up_to_a_limit(tmp_path: Path) -> None:
    text = "side,leverage,collateral,entry_price\n" + "long,10,1000,150000\n" * 57
    said = refused(tmp_path, text)
    assert (len(said), said[-1]) == (21, "book.csv: and 37 more rows")
    note = notes(tmp_path, text + "long,10,1000,100000\n")
    assert "57 of 58 rows cannot be at the start and are left out: line 2: " in note
    assert "; and 54 more" in note


def test_the_venues_own_maximum_counts(tmp_path: Path) -> None:
    said = notes(tmp_path, row(leverage="25"), "{file: book.csv}", "venue.max_leverage=20")
    assert "leverage 25 is over the venue's maximum, 20" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "id,side,levrage,collateral\na,long,5,100\n",
            "column 'levrage' of the file is not read; if it is the leverage",
        ),
        ("leverage,notional\n5,1000\n", "no notional in it is negative: sides are drawn by the population"),
        ("leverage,entry_price\n5,63000\n5,64000\n5,64500\n", "half of its entry prices are below 64000, far from"),
        ("leverage,entry_price\n5,163000\n", "half of its entry prices are above 163000, far from"),
        ("leverage,side\n5,long\n,\n,\n", "2 lines of the file hold no value and are skipped (line 3, 4)"),
    ],
)
def test_what_is_right_but_may_not_be_meant_is_said(text: str, said: str, tmp_path: Path) -> None:
    assert said in notes(tmp_path, text)


def test_a_plain_book_needs_no_note(tmp_path: Path) -> None:
    assert notes(tmp_path, table()) == ""


def test_a_fuel_ratio_that_scales_nobody_is_said(tmp_path: Path) -> None:
    assert "fuel_ratio: value 1.5: has no effect" in notes(tmp_path, row(), "{file: book.csv}", "fuel_ratio=1.5")
    others = ("populations.crowd={type: retail, initial_open_fraction: 1}", "fuel_ratio=1.5")
    assert notes(tmp_path, row(), "{file: book.csv}", *others) == ""


def test_a_scenario_is_what_its_book_holds_not_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here, there = load(tmp_path / "a", row()), load(tmp_path / "b", row())
    assert here.digest("1") == there.digest("1")
    assert here.populations["mine"].book == there.populations["mine"].book
    other = load(tmp_path / "b", row(leverage="11"))
    assert other.digest("1") != there.digest("1")
    assert other != there
    assert other.populations["mine"].book is not None
    assert other.populations["mine"].book.leverage.tolist() == [11, 10]


def test_a_file_that_changes_after_it_was_read_changes_nothing(tmp_path: Path) -> None:
    loaded = load(tmp_path, row())
    before = loaded.digest("1")
    (tmp_path / "book.csv").write_text(row(leverage="20"))
    assert loaded.digest("1") == before
    assert load_scenario(tmp_path / "market.yaml", FAKE_TYPES).digest("1") != before


def test_the_resolved_scenario_reads_the_same_book(tmp_path: Path) -> None:
    loaded = load(tmp_path, table(), "{file: book.csv, columns: {notional: null}, on_impossible: refuse}")
    elsewhere = tmp_path / "run"
    elsewhere.mkdir()
    (elsewhere / "scenario.resolved.yaml").write_text(loaded.resolved_yaml())
    again = load_scenario(elsewhere / "scenario.resolved.yaml", FAKE_TYPES)
    assert again.populations == loaded.populations
    assert again.digest("1") == loaded.digest("1")


def test_a_resolved_scenario_refuses_a_book_that_has_changed(tmp_path: Path) -> None:
    resolved = tmp_path / "scenario.resolved.yaml"
    resolved.write_text(load(tmp_path, row()).resolved_yaml())
    (tmp_path / "book.csv").write_text(row(leverage="20"))
    with pytest.raises(ScenarioError, match=r"accounts.sha256: .*book.csv has changed since the scenario was read"):
        load_scenario(resolved, FAKE_TYPES)
    again = load_scenario(resolved, FAKE_TYPES, ["populations.mine.accounts.sha256=null"])
    assert again == load_scenario(tmp_path / "market.yaml", FAKE_TYPES)


def test_overrides_reach_into_the_block_and_replace_it(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("lev\n7\n8\n9\n")
    book = book_of(
        tmp_path, row(), "{file: book.csv}",
        f"populations.mine.accounts.file={tmp_path}/other.csv", "populations.mine.accounts.columns.leverage=lev",
    )  # fmt: skip
    assert book.leverage.tolist() == [7, 8, 9]
    loaded = load(tmp_path, row(), "{file: book.csv}", "populations.mine.accounts=12")
    assert (loaded.populations["mine"].book, loaded.populations["mine"].count) == (None, 12)
