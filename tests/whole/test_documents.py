"""Documents point at what is there: links, code paths, sources."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml

import marginquake

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "THIRD_PARTY.md", "runs/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "scenarios").rglob("README.md")),
]
WRITTEN = sorted(
    path
    for folder in ("sim", "agents", "analysis", "tests", "benchmarks", "scenarios", "docs", "examples", "marginquake")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".md", ".yaml", ".json", ".j2", ".toml"} and path != Path(__file__).resolve()
)

ELSEWHERE = re.compile(
    r"\bmechanisms?(\.md| list)\b|\bmechanisms? \d|market[_ ]defaults|house design|house\.md|/work/|\bshared/\w+\.md"
    r"|\bcontagion\.md|\bfast\.md|\b2B\.\d",
    re.IGNORECASE,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PLACEHOLDER = re.compile(r"\.\.\.|\b[A-Z]{4,}\b")
FILE = re.compile(r"(?<![\w/.-])((?:sim|agents|analysis|tests|benchmarks|examples|docs|scenarios)/[\w/.-]*\w/?)")
DOTTED = re.compile(r"(?<![\w.])((?:marginquake\.)?(?:sim|agents|analysis)(?:\.\w+)+)")


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Places within a page that a link can name."""
    text = page.read_text(encoding="utf-8")
    return {slug(found) for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)} | set(
        re.findall(r'id="([^"]+)"', text)
    )


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def exists(dotted: str) -> bool:
    """Is it a module or package of ours, or a name written in one?"""
    parts = dotted.removeprefix("marginquake.").split(".")
    for end in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:end])
        source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if source.exists():
            text = source.read_text(encoding="utf-8")
            return all(re.search(rf"\b{re.escape(name)}\b", text) for name in parts[end:])
    return False


def test_nothing_refers_to_a_page_that_is_not_here() -> None:
    found = {
        named(path): found.group()
        for path in [*WRITTEN, *PAGES]
        for found in ELSEWHERE.finditer(path.read_text(encoding="utf-8", errors="replace"))
    }
    assert found == {}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_code_path_on_a_page_exists(page: Path) -> None:
    text = LINK.sub("", page.read_text(encoding="utf-8"))
    missing = [path for path in FILE.findall(text) if not (ROOT / path).exists() and not PLACEHOLDER.search(path)]
    missing += [name for name in DOTTED.findall(text) if not exists(name)]
    assert missing == []


def test_every_source_has_one_anchor() -> None:
    found = re.findall(r'id="([^"]+)"', (ROOT / "docs" / "sources.md").read_text(encoding="utf-8"))
    assert len(found) == len(set(found)) > 50


def test_the_picture_of_the_architecture_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script  # dataclasses look their module up
    spec.loader.exec_module(script)
    fresh = script.draw(script.read_contracts())
    assert script.PICTURE.read_text(encoding="utf-8") == fresh, "run: python docs/draw_architecture.py"


def test_the_page_on_architecture_has_a_line_for_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [f"{top}/{path.name}" for top in ("sim", "analysis") for path in (ROOT / top).iterdir() if path.is_dir()]
    assert [room for room in rooms if f"`{room}`" not in page and not room.endswith("__pycache__")] == []


def test_the_citation_names_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == marginquake.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
