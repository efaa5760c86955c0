"""docs/matching.md: its examples run as they stand and print what it says; the tests that it names exist."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from marginquake.sim.core.records import Side
from tests.support.exchanges import ladder
from tests.support.ladder import drawing, told

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "matching.md").read_text(encoding="utf-8")
BEGINNING, *EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
OUTPUTS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_each_example_says_what_it_prints() -> None:
    assert len(EXAMPLES) == len(OUTPUTS) >= 9


@pytest.mark.parametrize(("example", "output"), list(zip(EXAMPLES, OUTPUTS, strict=True)))
def test_an_example_prints_what_the_page_says(example: str, output: str) -> None:
    names: dict[str, Any] = {}
    exec(BEGINNING, names)  # a page of ours
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(example, names)
    assert printed.getvalue() == output


def test_the_tests_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) >= 15
    assert not {name for name in named if f"def {name}(" not in text}


def test_its_sources_have_an_entry() -> None:
    sources = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    cited = set(re.findall(r"sources\.md#([\w-]+)", PAGE))
    assert not {anchor for anchor in cited if f'id="{anchor}"' not in sources}


@pytest.mark.parametrize("implementation", ["naive", "kernel"])
def test_the_same_size_at_the_same_price_keeps_priority(implementation: str) -> None:
    market = ladder(implementation)
    ids = market.place(" | 101 | A4 B3")
    assert told(market.modify("A", ids["A"][0], 4, 101)) == ["A modified 4@101"]
    assert market.drawn() == drawing(" | 101 | A4 B3")
    assert told(market.order("C", Side.BUY, 1, 101)) == ["C buys 1@101 from A"]
