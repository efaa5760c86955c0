"""The command `tipping`: where a share of runs crosses one half, or any other probability."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import (
    CORES,
    RUNS,
    Replace,
    RunsFolder,
    ScenarioArgument,
    Scheduler,
    UserError,
    Verbose,
    Workers,
    logging_to,
    one_message,
    open_console,
    print_warnings,
    sweep_bar,
)
from marginquake.sim.core.outside.edges import say
from marginquake.sim.scenario.installed import scenario_file

if TYPE_CHECKING:
    from marginquake.sim.studies.design import EventConfig
    from marginquake.sim.studies.tipping import TippingPoint, TippingQuestion

app = typer.Typer()


@app.command()
def tipping(
    scenario: ScenarioArgument,
    parameter: Annotated[str, typer.Option(metavar="PATH", help="A field, e.g. populations.longs.leverage.mean")],
    between: Annotated[
        tuple[str, str],
        typer.Option(metavar="A B", help="Where to look, with units: 8 50, 100k 20M, 1% 5%, 500ms 10s, 5x 50x."),
    ],
    probability: Annotated[
        str, typer.Option(metavar="P", help="Share of runs with the outcome that is looked for: 5%.")
    ] = "50%",
    outcome: Annotated[
        str, typer.Option(metavar="M>X", help="What counts: a number of summary.json above (>) or below (<) X.")
    ] = "",
    within: Annotated[
        str | None,
        typer.Option(
            "--within",
            "--half-width",
            metavar="W",
            help="Plan seeds so that the share at the tipping value is known to +- W: 2%.",
        ),
    ] = None,
    log_scale: Annotated[bool, typer.Option("--log", help="Halve on a log scale.")] = False,
    metric: Annotated[str, typer.Option(metavar="M", help="A number of summary.json...")] = "",
    above: Annotated[str | None, typer.Option(metavar="X", help="...above which a run is a cascade.")] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.001, max=0.5, metavar="W", help="Width of the interval, share of the range.")
    ] = 0.1,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=100_000,
            metavar="N",
            help="At most so many; default 40, taken 8 at a time, or what --within takes.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many runs it takes; run nothing.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override a field; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="S", help="Name of the directory.")] = None,
    replace: Replace = False,
    workers: Workers = CORES,
    scheduler: Scheduler = None,
    out: RunsFolder = RUNS,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the directory.")] = False,
    verbose: Verbose = False,
) -> None:
    """Find the value of a parameter at which half of all runs, or another share of them, have a cascade.

    At one half every seed's own threshold is bisected, and more seeds come in until the interval is narrow enough. At
    any other --probability (or with --within) values are tried on as many seeds as the interval asked for takes, which
    is said before. Beside the result stands where R = 1, the feedback number before the event. Runs that are finished
    already are not made again.
    """
    with one_message(verbose), logging_to(verbose, None):
        scenario_file(scenario)
        from marginquake.sim.studies.quantity import read_range
        from marginquake.sim.studies.run import load_scenario
        from marginquake.sim.studies.tipping import TippingQuestion, find_tipping_point, settle, with_free_name

        event = _event(outcome, metric, above)
        try:
            found_range = read_range(*between, log_scale)
        except ValueError as error:
            raise UserError(f"--between {' '.join(between)}: {error}") from None
        share = _share("--probability", probability)
        suffix = "" if share == 0.5 else f"-at-{probability.strip().replace('%', 'pct')}"
        label = name or f"{scenario.stem}-tipping-{parameter.replace('.', '_')}{suffix}"
        question = TippingQuestion(
            label, scenario, parameter, found_range.low, found_range.high, log_scale, tuple(overrides or ()), event,
            tolerance, seeds, share, None if within is None else _share("--within", within), found_range,
        )  # fmt: skip
        if not question.bisects and not (quiet and not dry_run):
            _tell_plan(question)
        if dry_run:
            settle(question)
            if question.bisects:
                say("bisection: seeds come in eight at a time; how many runs it takes is not known before")
            return
        if not quiet:
            print_warnings(load_scenario(scenario, question.point(0, 0.0).overrides))
        if name is None and not replace:
            question = with_free_name(question, out)
        with sweep_bar(question.name, shown=not quiet) as progress:
            found = find_tipping_point(question, out, workers, scheduler, progress, replace)
        if not quiet:
            _tell_tipping_point(question, found)
        say(found.path, flush=True)


def _event(outcome: str, metric: str, above: str | None) -> "EventConfig":
    """What counts, from `--outcome`, or from `--metric` and `--above`."""
    from marginquake.analysis.measures.summary_metrics import NOT_METRICS, registered
    from marginquake.sim.core.problems import closest
    from marginquake.sim.studies.axes import number_of
    from marginquake.sim.studies.design import EventConfig, read_outcome

    if outcome and (metric or above is not None):
        raise UserError("--outcome says what counts, and so do --metric and --above; write one or the other")
    if outcome:
        try:
            event = read_outcome(outcome)
        except ValueError as error:
            raise UserError(f"--outcome {outcome}: {error}") from None
    else:
        usual = EventConfig()
        threshold = usual.above if above is None else number_of(above)
        if isinstance(threshold, str):
            raise UserError(f"--above {above}: is no number, amount, share or duration")
        event = EventConfig(metric=metric or usual.metric, above=threshold)
    known = registered()
    key = event.metric.rpartition(".")[2]
    if key not in known and key not in NOT_METRICS:
        near = closest(key, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
        raise UserError(f"{'--outcome' if outcome else '--metric'} {event.metric}: no number of summary.json; {hint}")
    return event


def _share(option: str, text: str) -> float:
    """A share between 0 and 1, both excluded."""
    from marginquake.sim.core.fields import parse_fraction

    try:
        value = parse_fraction(text)
    except ValueError as error:
        raise UserError(f"{option} {text}: {error}") from None
    if not 0.0 < value < 1.0:
        raise UserError(f"{option} {text}: must be above 0 and below 1; write 5% or 0.05")
    return value


def _tell_plan(question: "TippingQuestion") -> None:
    """How many runs it will take, before any is made."""
    from marginquake.sim.studies.tipping import plan_probes

    plan = plan_probes(question)
    say(
        f"plan: {plan.seeds} seeds at a value (then {100 * question.probability:g} % is known to "
        f"+- {100 * plan.half_width:.2g} points), fewer where it is clear; likely {plan.likely[0]:,} to "
        f"{plan.likely[1]:,} runs, at most {plan.most:,}; what is there already is not run again",
        flush=True,
    )


def _tell_tipping_point(question: "TippingQuestion", found: "TippingPoint") -> None:
    """The values tried, and what they come to."""
    from rich.table import Table

    shown = question.range.shown
    table = Table(title=question.name, title_justify="left", box=None, pad_edge=False)
    interval = "Wilson" if question.bisects else "Clopper-Pearson"
    for heading in (question.parameter, "runs with it", "share", f"95 % {interval}", ""):
        table.add_column(heading, justify="right")
    for each in found.tried:
        low, high = (f"{100 * end:.1f}" for end in (each.share.low, each.share.high))
        table.add_row(shown(each.value), f"{each.events}/{each.runs}", f"{100 * each.share.value:.1f} %",
                      f"[{low}, {high}]", each.says)  # fmt: skip
    open_console().print(table)
    first, last = found.point.low, found.point.high
    if question.bisects:
        say(f"{question.parameter}: half of {found.seeds} seeds cascade at {found.point.value:.4g} "
              f"[{first:.4g}, {last:.4g}] ({found.runs} runs)")  # fmt: skip
    else:
        say(f"{question.parameter}: {100 * found.probability:g} % of runs at {shown(found.point.value)}, "
              f"95 % interval [{shown(first)}, {shown(last)}] ({found.runs:,} runs)")  # fmt: skip
        for end, word, move in ((first, question.range.low, "lower"), (last, question.range.high, "raise")):
            if not math.isfinite(end):
                edge = found.tried[0 if move == "lower" else -1]
                say(f"at {shown(word)} {edge.events} of {edge.runs} runs cannot be told from "
                      f"{100 * found.probability:g} %: {move} the end to close the interval")  # fmt: skip
    if not found.narrow:
        more = "more --seeds narrow it" if question.bisects else "a smaller --within narrows it"
        say(f"the interval is wider than asked (--tolerance {question.tolerance:g}); {more}")
    if found.contrary:
        say(
            f"{found.contrary} seeds cascade at the calm end and not at the other; they are left out"
            if question.bisects
            else f"{found.contrary} of {found.seeds} seeds have it at a calmer value and not at a wilder one"
        )
    say(f"R = 1 at {found.predicted:.4g}" if math.isfinite(found.predicted) else "R crosses 1 nowhere between")
