"""The report in a real browser: nothing on the console, nothing asked of anybody, every chart drawn, nothing too wide.

Needs Chromium on the path (or in MARGINQUAKE_CHROMIUM); otherwise skipped, with the reason.
"""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.report.run_report import write_report
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.paths import TESTS, TINY
from tests.support.synthetic_run import write_synthetic_run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HARD = ("index.shocks=[{at: 2s, log_return: -6%, over: 4s}]", "venue.insurance.initial=1000")

A4_PIXELS = (210 - 2 * 12) / 25.4 * 96
"""Of a sheet of A4 between the margins of report.css."""
KEYED = {"hard": {"waterfall", "profits", "levels"}, "synthetic": {"icicle", "levels", "profits"}, "none": {"profits"}}
"""Charts without an axis of time in each run: those that the keyboard must reach."""

CHROMIUM = os.environ.get("MARGINQUAKE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="install chromium (Debian, Ubuntu: the package chromium; or set MARGINQUAKE_CHROMIUM to a browser)",
    ),
    pytest.mark.slow,
]

AROUND = (TESTS / "report_around.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small run; a real one in which everything is lost; one that kept no events."""
    folder = tmp_path_factory.mktemp("browser")
    found = {"synthetic": write_synthetic_run(folder / "run", seconds=1200)}
    for name, changes in (("hard", HARD), ("none", ("record.events=none",))):
        found[name] = running.run(load_scenario(TINY, AGENT_TYPES, changes), seed=1, out=folder, figures=False).path
    for path in found.values():
        write_report(path)
    return found


def look(run: Path, folder: Path, width: int, dark: bool) -> tuple[dict[str, Any], list[str], list[str]]:
    """What the page around the report saw; what Chromium printed to its console; addresses that pages asked for."""
    (run / "around.html").write_text(AROUND.replace("WIDTH", str(width)), encoding="utf-8")
    net = folder / "net.json"
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
        "--disable-extensions", "--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={net}", "--enable-logging=stderr", "--v=0", f"--window-size={max(width, 800)},1000",
        "--virtual-time-budget=20000", "--dump-dom", (run / "around.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    found = re.search(r'<pre id="seen">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the page around the report saw nothing:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}"
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found.group(1))), console, asked_for(json.loads(net.read_text()))


def asked_for(net: dict[str, Any]) -> list[str]:
    """Addresses in Chromium's record of its network, but for the browser's own requests, which no page initiated."""
    told = [event["params"] for event in net["events"] if isinstance(event.get("params"), dict)]
    urls = {params["url"] for params in told if re.match(r"(https?|wss?|ftp):", str(params.get("url", "")))}
    own = {params["url"] for params in told if params.get("initiator") == "not an origin" and "url" in params}
    return sorted(urls - own)


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("hard", 1440, True),
        ("hard", 390, False),
        ("synthetic", 1440, False),
        ("none", 390, True),
    ],
)
def test_in_a_browser_every_chart_is_drawn_and_nobody_is_asked(
    runs: dict[str, Path], tmp_path: Path, name: str, width: int, dark: bool
) -> None:
    seen, console, asked = look(runs[name], tmp_path, width, dark)
    assert console == []
    assert asked == []
    assert seen["errors"] == []
    assert seen["dark"] == dark
    assert seen["paper"] == ("rgb(11, 14, 23)" if dark else "rgb(245, 246, 249)")
    assert seen["width"] == width
    assert seen["wide"] <= width, "the page scrolls sideways"
    assert len(seen["drawn"]) >= 5
    assert all(line.endswith(" true") for line in seen["drawn"]), seen["drawn"]
    assert (seen["resetBefore"], seen["resetZoomed"], seen["resetAfter"]) == (True, False, True)
    assert seen["zoomChanges"]
    assert seen["backAgain"]
    assert "mark" in seen["tip"]
    assert seen.get("rowZooms", True)
    assert seen["unknown"] == 0, "a line without a value"
    assert seen["zoomedEnd"] != seen["end"]
    assert 0.25 < seen["zoomedData"][0] <= 0.5, "the legend is that of the last row within what is shown"
    assert seen["zoomedLegend"] == seen["zoomedData"][1]
    assert "mark" in seen["tapTip"]
    assert (seen["dragZooms"], seen["tapTwice"], seen["pinchZooms"]) == (True, True, True)
    assert (seen["zeroShowsAll"], seen["arrowMoves"], seen["plusZooms"], seen["escapeShowsAll"]) == (True,) * 4
    assert seen["unreachable"] == []
    assert KEYED[name] <= seen["keys"].keys()
    for kind, keys in seen["keys"].items():
        assert keys["told"], kind
        assert keys["places"] >= 2, kind
        assert keys["framed"], kind
        assert keys["left"], kind
    assert seen["stack"] == [[10, 7], [3, 0], [10, 7]], "outermost first"
    assert all(line.endswith(" true") for line in seen["printDrawn"])
    assert seen["printPaper"] == "#1b2330", "print is light"
    assert seen["printWide"] <= A4_PIXELS
    assert seen["printHosts"]
    assert seen["afterPrint"], "charts have the width of the screen again"


def test_the_browser_test_would_notice_an_error_and_a_request(tmp_path: Path) -> None:
    run = write_synthetic_run(tmp_path / "run", seconds=300)
    page = write_report(run)
    whole = page.read_text()
    broken = '<script>console.error("broken"); fetch("https://example.invalid/x");</script></body>'
    page.write_text(whole.replace("</body>", broken))
    _, console, asked = look(run, tmp_path, 390, False)
    assert any("broken" in line for line in console)
    assert any("Content Security Policy" in line for line in console)
    assert asked == []
    # Without the policy the browser does ask; and a line that is not drawn is missed.
    open_page = re.sub(r"<meta http-equiv=.Content-Security-Policy.*?>", "", whole)
    open_page = open_page.replace("</body>", '<img src="https://example.invalid/x.png"></body>')
    undrawn = open_page.replace("width: line.width,", 'width: line.label === "fundamental" ? 0 : line.width,')
    assert whole != open_page != undrawn
    page.write_text(undrawn)
    seen, _, asked = look(run, tmp_path, 390, False)
    assert asked == ["https://example.invalid/x.png"]
    assert any("Price: fundamental" in line for line in seen["drawn"]), seen["drawn"]
