"""`marginquake watch`: a run as it happens, in the terminal."""

import contextlib
import math
import shlex
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import (
    RUNS,
    AllowCode,
    ScenarioArgument,
    UserError,
    Verbose,
    one_message,
    open_console,
    print_scorecard,
    print_warnings,
)
from marginquake.sim.core.outside.edges import say
from marginquake.sim.runs.interrupts import Interrupts, tell
from marginquake.sim.scenario.installed import scenario_file

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from marginquake.sim.cli.watch.watcher import Frame, Watcher
    from marginquake.sim.model.model import MarketModel
    from marginquake.sim.runs.event_log import OpenLog
    from marginquake.sim.scenario.scenario import Scenario

app = typer.Typer()

FRAME_S = 0.125
"""Wall time between two pictures."""
NAP_S = 0.05
"""Longest sleep at once while the clock on the wall catches up."""
MEMORY_S = 2.0
"""Speed is measured over this much wall time."""
PLAIN_LINES = 24
"""Lines of a whole run where there is no terminal, about."""
TALLEST = 40
"""The picture that stays when the run is over is no taller."""
PERIODS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@app.command("watch")
def watch(
    scenario: ScenarioArgument,
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="Instead of the scenario's seed.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override a field; may be repeated.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(metavar="X", help="Simulated seconds per second, once warm; default as fast as it goes."),
    ] = None,
    market: Annotated[str | None, typer.Option(metavar="NAME", help="Which market to show; default the first.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a picture, as when piped.")] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Keep the run, as `run` does; after Ctrl-C it can be gone on with.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder that holds runs, with --save; default runs.")
    ] = None,
    no_figures: Annotated[
        bool, typer.Option("--no-figures", help="With --save: leave out pictures and report.")
    ] = False,
    allow_code: AllowCode = False,
    verbose: Verbose = False,
) -> None:
    """Watch a run as it happens: price, book, what waits to be forced, liquidations.  Keeps nothing without --save."""
    with one_message(verbose) as interrupts:
        if speed is not None and not (speed > 0 and math.isfinite(speed)):
            raise UserError(f"--speed {speed:g}: must be positive, e.g. 10 for ten simulated seconds a second")
        if not save and (out is not None or no_figures):
            option = f"--out {out}" if out is not None else "--no-figures"
            raise UserError(f"{option}: belongs to --save; without it nothing is kept")
        scenario_file(scenario)
        from marginquake.sim.cli.watch.watcher import Watcher
        from marginquake.sim.studies import run as running

        loaded = running.load_scenario(scenario, overrides or (), allow_code or None)
        names = [each.name for each in loaded.markets]
        if market is not None and market not in names:
            raise UserError(f"--market {market}: the scenario has {', '.join(names)}")
        print_warnings(loaded)
        spectator = _spectator(Watcher(market), loaded, Clock(speed, interrupts), plain)
        try:
            _run(spectator, loaded, seed, save, out or RUNS, not no_figures)
        except KeyboardInterrupt as interrupt:
            interrupts.is_over = True
            spectator.close()
            _print_stopped(spectator, loaded, str(interrupt) or "interrupted; nothing was kept")
            raise typer.Exit(interrupts.exit_code) from None
        finally:
            spectator.close()
        if not save:
            chosen = loaded.seed if seed is None else seed
            again = ["marginquake", "run", str(scenario), "--seed", str(chosen)]
            for override in overrides or ():
                again += ["--set", override]
            say(f"nothing was kept; the same run, kept: {shlex.join(again)}", file=sys.stderr)


def _run(
    spectator: "Screen | Lines", loaded: "Scenario", seed: int | None, save: bool, out: Path, figures: bool
) -> None:
    """To the end, and the scorecard."""
    from marginquake.analysis.measures.scorecard import scorecard
    from marginquake.sim.runs.event_log import NoLog
    from marginquake.sim.studies import run as running

    if save:
        result = running.run(loaded, seed, out, figures=figures, spectator=spectator)
        card = scorecard(result.summary)
        print_scorecard(result.path.name, card.rows, card.headings)
        say(result.path, flush=True)
        return
    data = running.simulate(loaded, loaded.seed if seed is None else seed, open_log=NoLog, spectator=spectator)
    card = scorecard(data.summary)
    print_scorecard(loaded.name, card.rows, card.headings)


class Clock:
    """Holds a run to a speed, measures the one it has, and ends it after a step where Ctrl-C was pressed."""

    def __init__(self, speed: float | None, interrupts: Interrupts) -> None:
        self.interrupts = interrupts
        self._speed = speed
        self._began: tuple[float, float] | None = None
        self._seen: deque[tuple[float, float]] = deque()

    def wait(self, simulated_s: float) -> None:
        """Sleep until the wall has caught up; the warm-up is never held back."""
        if self._speed is None or simulated_s < 0:
            return
        if self._began is None:
            self._began = time.perf_counter(), simulated_s
        wall, then = self._began
        due = wall + (simulated_s - then) / self._speed
        while (left := due - time.perf_counter()) > 0 and not self.interrupts.asked:
            time.sleep(min(left, NAP_S))

    def go_on(self, simulated_s: float, is_over: bool) -> None:
        """After a look: wait for the wall, end if that was asked for meanwhile, else let the next step begin."""
        self.interrupts.end_if_asked()
        self.wait(simulated_s)
        self.interrupts.is_stepping = not is_over

    def speed(self, simulated_s: float) -> float:
        """Simulated seconds per second of late; NaN at first."""
        now = time.perf_counter()
        self._seen.append((now, simulated_s))
        while now - self._seen[0][0] > MEMORY_S and len(self._seen) > 2:
            self._seen.popleft()
        wall, then = self._seen[0]
        return (simulated_s - then) / (now - wall) if now > wall else math.nan


class Screen:
    """A full-screen picture, `1 / FRAME_S` times a second; the last one stays."""

    def __init__(self, watcher: "Watcher", console: "Console", clock: Clock) -> None:
        self._watcher = watcher
        self._console = console
        self._clock = clock
        self._due = 0.0
        self._live: Live | None = None
        self._speed = math.nan
        self.last: Frame | None = None

    def open_log(self, inner: "OpenLog") -> "OpenLog":
        """Overheard by the watcher."""
        return self._watcher.open_log(inner)

    def begin(self, name: str) -> None:
        """Show that something is being done: kernels may have to be compiled."""
        from rich.live import Live
        from rich.text import Text

        waiting = Text(f"building {name}; the first run after an installation compiles for a minute", "bright_black")
        self._live = Live(waiting, console=self._console, screen=True, auto_refresh=False)
        self._live.start(refresh=True)

    def look(self, model: "MarketModel") -> None:
        """Follow, and draw when it is time."""
        self._watcher.look(model)
        is_over = model.steps_done >= model.steps_total
        now = time.perf_counter()
        if now >= self._due or is_over or self._clock.interrupts.asked:
            self._due = now + FRAME_S
            self.last = self._watcher.frame(model)
            self._speed = self._clock.speed(self.last.time_s)
            self._draw(self.last)
        if is_over:
            self.close()
        self._clock.go_on(model.now_ns / 1e9, is_over)

    def _draw(self, frame: "Frame") -> None:
        from rich.text import Text

        from marginquake.sim.cli.watch import screen as watch_view

        if self._live is None:
            return
        width, height = self._console.size
        if width < watch_view.LEAST_WIDTH or height < watch_view.LEAST_HEIGHT:
            least = f"{watch_view.LEAST_WIDTH} x {watch_view.LEAST_HEIGHT}"
            self._live.update(Text(f"{watch_view.plain_line(frame)}\n(the picture needs {least})"), refresh=True)
            return
        self._live.update(watch_view.render(frame, watch_view.Pace(self._speed), width, height), refresh=True)

    def close(self) -> None:
        """Leave the full screen; the last picture is printed."""
        from marginquake.sim.cli.watch import screen as watch_view

        if self._live is None:
            return
        self._live.stop()
        self._live = None
        width, height = self._console.size
        if self.last is not None and width >= watch_view.LEAST_WIDTH:
            height = min(max(height - 1, watch_view.LEAST_HEIGHT), TALLEST)
            self._console.print(watch_view.render(self.last, watch_view.Pace(self._speed), width, height))


class Lines:
    """One line every so much simulated time, and one for every alert."""

    def __init__(self, watcher: "Watcher", duration_s: float, clock: Clock) -> None:
        self._watcher = watcher
        self._clock = clock
        self._every_s = next((period for period in PERIODS_S if period * PLAIN_LINES >= duration_s), PERIODS_S[-1])
        self._due_s = 0.0
        self.last: Frame | None = None

    def open_log(self, inner: "OpenLog") -> "OpenLog":
        """Overheard by the watcher."""
        return self._watcher.open_log(inner)

    def begin(self, name: str) -> None:
        """Nothing to show yet."""

    def look(self, model: "MarketModel") -> None:
        """Follow, and print when it is time."""
        from marginquake.sim.cli.watch import screen as watch_view

        sampled = self._watcher.look(model)
        for alert in self._watcher.new_alerts():
            say(watch_view.alert_line(alert), flush=True)
        time_s = model.now_ns / 1e9
        is_over = model.steps_done >= model.steps_total
        if (sampled and time_s >= self._due_s) or is_over:
            self._due_s = time_s + self._every_s
            self.last = self._watcher.frame(model)
            say(watch_view.plain_line(self.last), flush=True)
        elif self._clock.interrupts.asked:
            self.last = self._watcher.frame(model)
        self._clock.go_on(time_s, is_over)

    def close(self) -> None:
        """Every line has been printed."""


def _spectator(watcher: "Watcher", loaded: "Scenario", clock: Clock, plain: bool) -> Screen | Lines:
    """A picture where a terminal can show one."""
    from marginquake.sim.cli.watch.screen import LEAST_HEIGHT, LEAST_WIDTH

    console = open_console()
    shows = console.is_terminal and not console.is_dumb_terminal and not console.options.ascii_only
    if plain or not shows:
        return Lines(watcher, loaded.duration / 1e9, clock)
    if console.width < LEAST_WIDTH or console.height < LEAST_HEIGHT:
        say(
            f"lines only: the terminal has {console.width} x {console.height}, and the picture needs "
            f"{LEAST_WIDTH} x {LEAST_HEIGHT}",
            file=sys.stderr,
        )
        return Lines(watcher, loaded.duration / 1e9, clock)
    screen = Screen(watcher, console, clock)
    screen.begin(loaded.name)
    return screen


def _print_stopped(spectator: Screen | Lines, loaded: "Scenario", what_is_left: str) -> None:
    """What had happened until Ctrl-C."""
    from marginquake.sim.cli.watch import screen as watch_view

    frame = spectator.last
    if frame is None:
        tell(f"stopped before {loaded.name} began; nothing was kept")
        return
    of = f", market {frame.market}" if len(loaded.markets) > 1 else ""
    with contextlib.suppress(OSError):  # the terminal may be what ended it
        print_scorecard(f"{loaded.name}{of}, until it was stopped", watch_view.summary_rows(frame))
    tell(what_is_left)
