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

from agents import AGENT_TYPES
from analysis.report import write_report
from sim import api
from sim.scenario import load_scenario
from tests.synthetic_run import write_synthetic_run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TINY = Path(__file__).parent / "scenarios" / "tiny.yaml"
HARD = ("index.shocks=[{at: 2s, log_return: -6%, over: 4s}]", "venue.insurance.initial=1000")

CHROMIUM = os.environ.get("MARGINQUAKE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="install chromium (Debian, Ubuntu: the package chromium; or set MARGINQUAKE_CHROMIUM to a browser)",
    ),
    pytest.mark.slow,
]

# A page around the report, as wide as asked; it acts on the report and writes down what it saw.
AROUND = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><body style="margin:0">
<iframe id="frame" src="report.html" style="border:0;width:{width}px;height:{height}px"></iframe><pre id="seen"></pre>
<script>
const frame = document.getElementById("frame");
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const until = async (holds) => {{ for (let k = 0; k < 100 && !holds(); k++) await wait(30); }};
frame.onload = async () => {{
  const page = frame.contentDocument, root = page.documentElement, inside = frame.contentWindow;
  const errors = [];
  inside.addEventListener("error", (event) => errors.push(String(event.message)));
  await wait(300);
  const charts = [...page.querySelectorAll(".chart")];
  const drawn = () => charts.map((chart) => chart.dataset.source + " " + chart.dataset.drawn);
  const shot = () => [...page.querySelectorAll(".chart canvas")].map((canvas) => canvas.toDataURL()).join("");
  const seen = {{ width: root.clientWidth, wide: root.scrollWidth, drawn: drawn(), errors }};
  seen.dark = inside.matchMedia("(prefers-color-scheme: dark)").matches;
  seen.paper = inside.getComputedStyle(page.body).backgroundColor;
  const whole = shot();
  const over = page.querySelector(".chart .over"), box = over.getBoundingClientRect();
  const mouse = (type, x, more) => over.dispatchEvent(new inside.PointerEvent(type, {{
    pointerId: 1, pointerType: "mouse", bubbles: true, button: 0, clientX: box.left + x * box.width,
    clientY: box.top + 0.5 * box.height, ...more }}));
  over.setPointerCapture = () => {{}};
  mouse("pointermove", 0.5);
  seen.tip = page.querySelector(".tip").textContent;
  const reset = page.querySelector(".reset");
  seen.resetBefore = reset.hidden;
  mouse("pointerdown", 0.25); mouse("pointermove", 0.3); mouse("pointermove", 0.5); mouse("pointerup", 0.5);
  await until(() => !reset.hidden);
  seen.resetZoomed = reset.hidden;
  seen.zoomChanges = shot() !== whole;
  reset.click();
  await until(() => reset.hidden);
  mouse("pointerleave", 0.5);
  await wait(50);
  seen.resetAfter = reset.hidden;
  seen.backAgain = shot() === whole;
  const row = page.querySelector("tr[data-from]");
  if (row) {{ row.click(); await until(() => !reset.hidden); seen.rowZooms = !reset.hidden; }}
  inside.dispatchEvent(new inside.Event("beforeprint"));
  await wait(100);
  seen.printDrawn = drawn();
  seen.printPaper = inside.getComputedStyle(root).getPropertyValue("--c-mark").trim();
  document.getElementById("seen").textContent = JSON.stringify(seen);
}};
</script>"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small run; a real one in which everything is lost; one that kept no events."""
    folder = tmp_path_factory.mktemp("browser")
    found = {"synthetic": write_synthetic_run(folder / "run", seconds=1200)}
    for name, changes in (("hard", HARD), ("none", ("record.events=none",))):
        found[name] = api.run(load_scenario(TINY, AGENT_TYPES, changes), seed=1, out=folder, figures=False).path
    for path in found.values():
        write_report(path)
    return found


def look(run: Path, folder: Path, width: int, dark: bool) -> tuple[dict[str, Any], list[str], list[str]]:
    """What the page around the report saw; what Chromium printed to its console; addresses that pages asked for."""
    (run / "around.html").write_text(AROUND.format(width=width, height=900), encoding="utf-8")
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
    # The browser's own requests have no page as their initiator.
    asked = re.findall(r'"initiator":"(?:null|file:[^"]*)"[^{}]*?"url":"((?:https?|wss?|ftp):[^"]*)"', net.read_text())
    return json.loads(html.unescape(found.group(1))), console, asked


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("hard", 1440, False),
        ("hard", 1440, True),
        ("hard", 390, False),
        ("hard", 390, True),
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
    assert all(line.endswith(" true") for line in seen["printDrawn"])
    assert seen["printPaper"] == "#1b2330", "print is light"


def test_the_browser_test_would_notice_an_error_and_a_request(tmp_path: Path) -> None:
    run = write_synthetic_run(tmp_path / "run", seconds=300)
    page = write_report(run)
    broken = '<script>console.error("broken"); fetch("https://example.invalid/x");</script></body>'
    page.write_text(page.read_text().replace("</body>", broken))
    _, console, _ = look(run, tmp_path, 390, False)
    assert any("broken" in line for line in console)
    assert any("Content Security Policy" in line for line in console)
