"""Events with words for codes: in memory, in Parquet and in CSV, and nothing else is changed."""

from pathlib import Path

import numpy as np
import pytest

from marginquake.analysis.frames.labelled_events import WORDS
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.sim.core import records
from marginquake.sim.core.records import AUDIT, COMMAND, EVENT
from marginquake.sim.runs.event_log import log_folder, parts_of
from marginquake.sim.studies import run as running
from tests.support.command_line import marginquake
from tests.support.paths import TESTS

pytestmark = pytest.mark.model
OPTIONS = {"--events": EVENT, "--audit": AUDIT, "--orders": COMMAND}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFrames:
    loaded = running.load_scenario(TESTS / "golden" / "two_markets.yaml", ["record.events=all"])
    return load_run(running.run(loaded, out=tmp_path_factory.mktemp("runs"), figures=False).path)


def test_every_code_has_the_word_of_its_enum_and_all_else_is_as_in_the_files(run: RunFrames) -> None:
    import pyarrow.parquet as pq

    table = run.events.to_pandas()
    assert list(table.columns) == ["market", *(EVENT.names or ())]
    parts = [(market, pq.ParquetFile(path).read().to_pandas()) for market in run.markets
             for path in parts_of(log_folder(run.path, EVENT), market)]  # fmt: skip
    assert len(table) == sum(len(part) for _, part in parts)
    assert table["market"].tolist() == [market for market, part in parts for _ in range(len(part))]
    enums = {"kind": records.EventKind, "cause": records.Cause, "reason": records.Reject}
    for name in EVENT.names or ():
        codes = np.concatenate([part[name] for _, part in parts])
        if name in enums:
            assert [enums[name][word] for word in table[name]] == codes.tolist()
        elif name == "side":
            assert table[name].map({"BUY": 1, "SELL": -1, "NONE": 0}).tolist() == codes.tolist()
        else:
            assert (table[name].to_numpy() == codes).all()
            assert table[name].dtype == codes.dtype
    assert all(str(table[name].dtype) == "category" for name in ("market", "kind", "side", "cause", "reason"))


def test_every_enum_of_a_record_is_named_whole() -> None:
    assert set(WORDS[EVENT]["kind"]) == set(map(int, records.EventKind))
    assert set(WORDS[COMMAND]["kind"]) == set(map(int, records.OrderKind))
    assert set(WORDS[AUDIT]["cause"]) == set(map(int, records.AuditCause))
    assert WORDS[COMMAND]["flags"] == {
        0: "NONE", 1: "REDUCE_ONLY", 2: "TRIGGER_ON_MARK", 3: "REDUCE_ONLY | TRIGGER_ON_MARK",
    }  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_the_command_writes_words_that_other_programs_read(run: RunFrames, tmp_path: Path, option: str) -> None:
    import pandas
    import pyarrow.csv
    import pyarrow.parquet as pq

    record = OPTIONS[option]
    for suffix in ("parquet", "csv"):
        made = marginquake("export", run.path, option, tmp_path / f"out.{suffix}")
        assert made.exit_code == 0, made.stderr
        assert made.stdout.splitlines()[-1] == str(tmp_path / f"out.{suffix}")
    table = pq.ParquetFile(tmp_path / "out.parquet").read()
    words = WORDS[record]
    for name in ("market", *words):
        assert table.schema.field(name).type.value_type == "string"
    seen = pandas.read_parquet(tmp_path / "out.parquet")
    assert set(seen["kind" if "kind" in words else "cause"]) <= set(
        words["kind" if "kind" in words else "cause"].values()
    )
    text = pyarrow.csv.read_csv(tmp_path / "out.csv").to_pandas()
    for name in seen.columns:
        assert text[name].astype(str).tolist() == seen[name].astype(str).tolist(), name
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_duckdb_asks_in_words(run: RunFrames, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    marginquake("export", run.path, "--events", tmp_path / "e.parquet")
    table = run.events.to_pandas()
    expected = int(((table["kind"] == "FILL") & (table["cause"] == "LIQUIDATION")).sum())
    query = f"select count(*) from '{tmp_path}/e.parquet' where kind = 'FILL' and cause = 'LIQUIDATION'"
    assert duckdb.sql(query).fetchall() == [(expected,)]
    assert expected > 0


def test_one_market_alone_and_a_run_that_kept_nothing(run: RunFrames, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    marginquake("export", run.path, "--events", tmp_path / "b.parquet", "--market", "b")
    table = pq.ParquetFile(tmp_path / "b.parquet").read().to_pandas()
    assert set(table["market"]) == {"b"}
    short = ["duration=1s", "warmup=1s", "index.shocks=[]", "record.events=none"]
    loaded = running.load_scenario(TESTS / "golden" / "two_markets.yaml", short)
    quiet = load_run(running.run(loaded, out=tmp_path, figures=False).path)
    assert quiet.events.num_rows == 0
    refused = marginquake("export", quiet.path, "--orders", tmp_path / "o.parquet")
    assert (refused.exit_code, "record.events: all" in refused.stderr) == (2, True)


def test_the_files_of_a_run_and_its_digest_do_not_depend_on_what_is_kept(run: RunFrames, tmp_path: Path) -> None:
    """Conditional orders are kept beside the events: neither digest nor columns know of them."""
    loaded = running.load_scenario(TESTS / "golden" / "two_markets.yaml", ["record.events=fills"])
    other = load_run(running.run(loaded, out=tmp_path, figures=False).path)
    assert other.summary["event_digest"] == run.summary["event_digest"]
    assert not (other.path / "conditional_orders").exists()
