"""Each edge by itself: what leaves us is what came, and does nothing where it comes to."""

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginquake.sim.core.outside.edges import csv_cell, csv_text, markdown_cell, one_line, terminal_text
from tests.support.hostile import BAIT, assert_harmless, assert_no_formula
from tests.support.paths import ROOT


@given(st.text() | st.text(alphabet="\x1b\x07\n\t\r\x9b\u2028\u202eab"))
def test_a_terminal_gets_nothing_to_obey(text: str) -> None:
    assert_harmless(terminal_text(text))
    assert_harmless(one_line(text))
    assert "\n" not in one_line(text)
    assert terminal_text(terminal_text(text)) == terminal_text(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs", "M"])) | st.just("a\tb\nc"))
def test_what_does_no_harm_is_shown_as_it_is(text: str) -> None:
    assert terminal_text(text) == text


def test_an_escape_code_can_be_read() -> None:
    assert terminal_text("a\x1b[2J\x07\x9b") == r"a\x1b[2J\x07\x9b"
    assert one_line("a\nb\u2028\ud800") == r"a\nb\u2028\ud800"


@given(
    st.lists(
        st.lists(
            st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
            | st.sampled_from(["=1", "-a", "\t=1", "@x", "+x", "a\rb", "a\nb"]),
            min_size=1,
        )
    )
)
def test_no_cell_is_computed_and_none_is_lost(rows: list[list[str]]) -> None:
    table = csv_text(rows)
    read = list(csv.reader(io.StringIO(table, newline="")))
    assert len(read) == len(rows)
    for row, cells in zip(rows, read, strict=True):
        assert [cell.removeprefix("'") for cell in cells] == [one_line(cell).removeprefix("'") for cell in row]
        for cell in cells:
            assert not re.match(r"[=+\-@].", cell) or csv_cell(cell) == cell


@pytest.mark.parametrize("number", [-1, -1.5, "-1.5", "+3", "-1e-05", "-inf", "nan", "-", "=", ""])
def test_numbers_and_dashes_are_no_formula(number: object) -> None:
    assert csv_cell(number) == number


@pytest.mark.parametrize("text", ["=1", "+a", "-a", "@a", "-1+cmd", '="x"', "\uff1d1", "-1 000"])
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


def test_a_cell_of_a_markdown_table_stays_one() -> None:
    row = f"| {markdown_cell(BAIT)} |"
    assert len(re.findall(r"(?<!\\)\|", row)) == 2
    assert "<b" not in row.replace("\\<", "")
    assert_no_formula(csv_text([[BAIT]]))


def test_everything_that_is_printed_goes_through_the_edge() -> None:
    """Whoever writes `print`, a console or a CSV writer of his own forgets it."""
    wanted = {
        r"(?<![\w.])print\(": ["sim/core/outside/edges.py"],
        r"csv\.writer\(|csv\.DictWriter\(": ["sim/core/outside/edges.py"],
        r"(?<!\w)Console\(": [],  # but a class of its own in sim/cli/common.py
        r"from_markup|markup=True|rich\.markup": [],
        r"sys\.std(out|err)\.write|typer\.echo|click\.echo": [],
        r"savefig\(|FigureCanvas\w*\(": ["analysis/presentation/png.py"],
        r"parse_math": ["analysis/presentation/png.py", "analysis/presentation/theme.py"],
        r"\| ?safe\b|Markup\(": ["analysis/presentation/page.py", "analysis/presentation/templates/report.html.j2"],
    }
    found = {
        pattern: [
            str(path.relative_to(ROOT))
            for top in ("sim", "analysis", "agents")
            for path in sorted((ROOT / top).rglob("*"))
            if path.suffix in (".py", ".j2") and re.search(pattern, _code(path))
        ]
        for pattern in wanted
    }
    assert found == wanted


def _code(path: Path) -> str:
    """A file without its comments and the text of its docstrings."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r'""".*?"""', "", re.sub(r"#.*", "", text), flags=re.DOTALL) if path.suffix == ".py" else text
