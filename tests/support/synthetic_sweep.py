"""Sweep directories with known answers, as the engine writes them, without a run."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Value = float | str | bool
Outcome = Callable[[Mapping[str, Any], int], Mapping[str, Any]]
"""(values of a point, seed) -> summary of its run."""

LEVERAGE = {"name": "leverage", "label": "mean leverage", "scale": "linear", "low": None, "high": None}
DEPTH = {"name": "depth", "label": "depth D1, quote units", "scale": "log", "low": None, "high": None}
EVENT = {"metric": "forced_fill_fraction_of_open_interest", "above": 0.05}


def axis(name: str, label: str = "", scale: str = "linear", low: float | None = None, high: float | None = None) -> Any:
    return {"name": name, "label": label or name, "scale": scale, "low": low, "high": high}


def summary(fall: float, event: bool) -> dict[str, Any]:
    """A run that fell by `fall`, with or without a cascade."""
    return {
        "scenario": "long_squeeze",
        "max_drawdown_fraction": fall,
        "forced_fill_fraction_of_open_interest": 0.2 if event else 0.01,
        "bad_debt": 1e6 * fall,
        "margin_calls": 10,
        "event_digest": "0" * 32,
    }


def grid(levels: Mapping[str, Sequence[Value]]) -> list[dict[str, Value]]:
    """Every combination, the last axis fastest."""
    return [dict(zip(levels, values, strict=True)) for values in itertools.product(*levels.values())]


def write_sweep(
    path: Path,
    axes: Sequence[Mapping[str, Any]],
    points: Sequence[Mapping[str, Value]],
    outcome: Outcome,
    seeds: Sequence[int] = tuple(range(1, 11)),
    design: str = "grid",
    without: Callable[[int, int], bool] = lambda point, seed: False,
    failures: Sequence[Mapping[str, Any]] = (),
    event: Mapping[str, Any] = EVENT,
    name: str = "leverage_and_depth",
) -> Path:
    """Write a sweep directory; `without(point, seed)` leaves runs out of the table."""
    path.mkdir(parents=True)
    content = {
        "schema_version": 1,
        "name": name,
        "question": "At which leverage does a fall feed itself?",
        "scenario": "long_squeeze",
        "model_version": "3",
        "design": design,
        "axes": list(axes),
        "points": [
            {"point": number, "values": dict(values), "overrides": [f"{key}={value}" for key, value in values.items()]}
            for number, values in enumerate(points)
        ],
        "seeds": list(seeds),
        "event": dict(event),
    }
    (path / "sweep.json").write_text(json.dumps(content))
    (path / "sweep.yaml").write_text("# as the user wrote it\nscenario: long_squeeze\n")
    if failures:
        (path / "failures.json").write_text(json.dumps(list(failures)))
    rows = [
        {
            "point": number,
            **{f"axis_{key}": value for key, value in values.items()},
            "seed": seed,
            "run": f"long_squeeze-{number:08x}-s{seed}",
            **_with_event(outcome(values, seed), event),
        }
        for number, values in enumerate(points)
        for seed in seeds
        if not without(number, seed)
    ]
    names = rows[0] if rows else {"point": 0, "seed": 0, "event": False, "max_drawdown_fraction": 0.0}
    table = {key: pa.array([row[key] for row in rows]) for key in names}
    if not rows:
        kinds = {"point": pa.int64(), "seed": pa.int64(), "event": pa.bool_()}
        table = {key: pa.array([], kinds.get(key, pa.float64())) for key in names}
    pq.write_table(pa.table(table), path / "results.parquet")
    return path


def _with_event(found: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    value = found.get(event["metric"])
    return {"event": value is not None and value > event["above"], **found}


def tipping(values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Falls that grow with leverage and shrink with depth; of ten seeds, as many tip as the odds say."""
    push = float(values["leverage"]) / 20.0 - np.log10(float(values["depth"]) / 5e6)
    chance = 1.0 / (1.0 + np.exp(-4.0 * (push - 1.0)))
    tips = (seed * 7 % 10 + 0.5) / 10 < chance
    noise = np.random.default_rng(seed).normal(0.0, 0.006)
    return summary(float(max(0.03 + 0.02 * push + noise, 0.005) + (0.09 + 2 * abs(noise) if tips else 0.0)), bool(tips))
