"""Text that every program reads more into which takes it unescaped, and what to look for afterwards."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

BAIT = (
    (
        "=1+1 $x_{$ $\\frac$ \x1b]0;owned\x07\x1b[31m\x9b2J\x08 [red]r[/red] [link=http://evil.example]l[/link] "
        ":smile: "
        "</script><!--<b onload=evil()> &amp; \"q\" 'a' | `id` $(id) \u202e\u2028\ud83d\ude00 \u6f22\u5b57 %s {x} \\"
    )
    .encode("utf-16", "surrogatepass")
    .decode("utf-16")
)
"""A formula, mathematics, escape codes old and new, markup, HTML, a shell, writing from right to left, odd lines."""
NAME = BAIT.replace("/", "|")
"""The same as a file's name."""
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
COLOURS = re.compile("\x1b\\[[0-9;]*m")


def assert_harmless(text: str, colours: bool = False) -> None:
    """Nothing in what a terminal gets that it would obey, but colours that are ours."""
    left = COLOURS.sub("", text) if colours else text
    found = HARMFUL.search(left)
    assert found is None, f"{found[0]!r} in {left[max(0, found.start() - 60) : found.start() + 60]!r}"


def assert_no_formula(table: str) -> None:
    """No cell that a spreadsheet would compute."""
    for row in csv.reader(table.splitlines()):
        for cell in row:
            is_number = re.fullmatch(r"[-+]?([0-9.]+([eE][-+]?[0-9]+)?|inf|nan)", cell) is not None
            assert is_number or len(cell) < 2 or cell[0] not in "=+-@\t\r", cell


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}" for name, _ in attrs if name == "onload"]

    def handle_comment(self, data: str) -> None:
        self.found.append(f"comment {data[:40]}")


def assert_page_is_ours(path: Path) -> None:
    """No element or comment of an HTML page comes from the bait, and each script ends where we end it."""
    text = path.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.found == []
    assert len(re.findall("<script", text)) == len(re.findall("</script>", text))
    for script in re.findall(r"<script type=\"application/json\"[^>]*>(.*?)</script>", text, re.DOTALL):
        assert not re.search("[<\u2028\u2029]", script)
