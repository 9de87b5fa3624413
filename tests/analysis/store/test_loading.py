"""Loading: each line of kaproxy's becomes a row that knows its log and line; every other line is named."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kaproxy.analysis import logs
from kaproxy.analysis.logs import Account, LogError
from kaproxy.analysis.store import DuckEngine, load, loading, sources
from kaproxy.analysis.store.saved import is_saved
from tests.analysis.scene import SCENES, Line

WARNING = {
    "timestamp": "2026-05-01T12:00:00.000000Z",
    "level": "warning",
    "event": "keep_alive.late",
    "schema": 1,
    "worker": "1",
    "conn_id": "w",
    "gap_s": 12.5,
}


def closing(conn_id: str, **changes: Any) -> bytes:
    """A closing line as the proxy writes it."""
    line: Line = SCENES["pinged_late"]()[-1] | {"conn_id": conn_id} | changes
    return orjson.dumps(line)


A, B, C, W = closing("a"), closing("b"), closing("c"), orjson.dumps(WARNING)


@pytest.fixture(params=["as it is", "copied first"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways a plain log is read: by DuckDB itself, and line by line into a scratch file."""
    monkeypatch.setattr(sources, "SMALL", 0 if request.param == "as it is" else 1 << 30)


def places(engine: DuckEngine) -> dict[str, tuple[str, int]]:
    """conn_id -> name of the log's file and line."""
    found = {}
    for table in ("closed", "warned"):
        for name, source, line in engine.rows(f"select conn_id, source, line_no from {{{table}}}"):
            found[str(name)] = (Path(source).name, line)
    return found


def others(account: Account) -> dict[str, list[int]]:
    return {what: each.first for what, each in account.others.items()}


@pytest.mark.usefixtures("small")
def test_every_line_that_is_none_is_named_and_the_rest_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    bad = [
        b"Traceback",
        A[:300],
        b"",
        b'{"msg":"hi"}',
        b"\xff\xfe" + A[:40],
        A.replace(b'"schema":1', b'"schema":2'),
    ]
    path.write_bytes(b"\n".join([A, *bad, B, b"x\x01y", b"  ", W, b'{"log":"hi"}', C]))
    with load([str(path)]) as engine:
        assert places(engine) == {"a": ("log", 1), "b": ("log", 8), "w": ("log", 11), "c": ("log", 13)}
        account = engine.accounts[str(path)]
        assert (account.lines, account.understood) == (13, 4)
        assert others(account) == {
            logs.NOT_JSON: [2, 9, 12],
            logs.TORN: [3, 6],
            logs.FOREIGN: [5],
            "of schema 2 (this version reads 1)": [7],
        }


@pytest.mark.usefixtures("small")
def test_a_good_line_behind_a_torn_one_is_rescued_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(A + b"\n" + A[:500] + B + b"\n" + A[:60] + b"\xc3" + W + b"\n" + C + b"\n")
    with load([str(path)]) as engine:
        assert places(engine) == {"a": ("log", 1), "b": ("log", 2), "w": ("log", 3), "c": ("log", 4)}
        assert others(engine.accounts[str(path)]) == {logs.TORN: [2, 3]}
        assert engine.accounts[str(path)].understood == 4


def docker(line: bytes) -> bytes:
    return orjson.dumps({"log": line.decode() + "\n", "stream": "stdout", "time": "2026-05-01T12:00:00Z"})


@pytest.mark.usefixtures("small")
def test_docker_kubectl_and_syslog_are_unwrapped_in_bulk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    wrapped = [
        docker(A),
        b"[pod/kaproxy-7f/kaproxy] " + B,
        b"May  1 12:00:00 gate kaproxy[812]: " + C,
        docker(W),
    ]
    path.write_bytes(b"\n".join(wrapped))
    monkeypatch.setattr(loading, "read_line", None)  # nothing is left for one by one
    with load([str(path)]) as engine:
        assert places(engine) == {"a": ("log", 1), "b": ("log", 2), "c": ("log", 3), "w": ("log", 4)}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\n\n", b"\r\r\n"])
def test_any_end_of_line_will_do(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(end.join([A, b"50 %\r100 %", B, C]) + end)
    with load([str(path)]) as engine:
        step = end.count(b"\n")
        assert places(engine) == {"a": ("log", 1), "b": ("log", 1 + 2 * step), "c": ("log", 1 + 3 * step)}


@pytest.mark.usefixtures("small")
def test_a_line_that_is_too_long_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\n".join([A, b"x" * (logs.LONGEST_LINE + 9), B]))
    with load([str(path)]) as engine:
        assert places(engine) == {"a": ("log", 1), "b": ("log", 3)}
        assert others(engine.accounts[str(path)]) == {logs.TOO_LONG: [2]}


def zstd(path: Path, lines: list[bytes]) -> None:
    values = ", ".join("(?)" for _ in lines)
    sql = f"copy (select * from (values {values})) to '{path}' (format csv, header false, quote '', compression zstd)"
    duckdb.connect().execute(
        sql.replace("quote ''", "quote '', delim E'\\x01'"), [each.decode() for each in lines]
    )


def test_logs_of_every_kind_are_read_together_each_with_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "one.log").write_bytes(b"noise\n" + A + b"\n")
    (tmp_path / "two.log.gz").write_bytes(gzip.compress(B))
    zstd(tmp_path / "three.log.zst", [b"noise", b"noise", C])
    with load([str(tmp_path / "*.log*")]) as engine:
        assert places(engine) == {"a": ("one.log", 2), "b": ("two.log.gz", 1), "c": ("three.log.zst", 3)}
        assert {Path(name).name: each.lines for name, each in engine.accounts.items()} == {
            "one.log": 2,
            "three.log.zst": 3,
            "two.log.gz": 1,
        }


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(A + b"\n" + B))))
    with load(["-"]) as engine:
        assert places(engine) == {"a": ("-", 1), "b": ("-", 2)}


def test_a_damaged_gzip_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"\n".join(closing(f"{n:04}") for n in range(2000)))[:-3000])
    with load([str(path)]) as engine:
        assert logs.CUT_OFF in engine.accounts[str(path)].others
        assert len(places(engine)) > 100


def test_a_cut_off_zstd_is_read_as_far_as_it_goes_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    whole, cut, damaged = (tmp_path / name for name in ("whole", "cut", "damaged"))
    zstd(whole, [closing(f"{n:04}-{n * 7919 % 10007}") for n in range(2000)])
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    damaged.write_bytes(data[:2000] + bytes(200) + data[2200:])
    with load([str(path) for path in (whole, cut, damaged)]) as engine:
        sums: dict[str, int] = dict(engine.rows("select source, count(*) from {closed} group by source"))
        assert sums[str(whole)] == 2000
        assert engine.accounts[str(whole)].others == {}
        assert 100 < sums[str(cut)] < 2000
        assert logs.CUT_OFF in engine.accounts[str(cut)].others
        assert ["cannot be read" in what for what in engine.accounts[str(damaged)].others] == [True]


@pytest.mark.parametrize(
    ("name", "says"),
    [("none", "No such file"), ("none*", "no file matches"), (".", "is a folder")],
)
def test_what_cannot_be_read_at_all_is_an_error_that_names_it(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(LogError, match=says):
        load([str(tmp_path / name)])


def test_a_log_larger_than_a_scratch_file_keeps_its_line_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SCRATCH_SIZE", 3 * len(A))
    (tmp_path / "one").write_bytes(b"\n".join(closing(f"{n}") for n in range(1, 9)))
    (tmp_path / "two").write_bytes(b"\n".join([b"noise", A, B]))
    with load([str(tmp_path / "one"), str(tmp_path / "two")]) as engine:
        expected = {f"{n}": ("one", n) for n in range(1, 9)} | {"a": ("two", 2), "b": ("two", 3)}
        assert places(engine) == expected
        assert [each.lines for each in engine.accounts.values()] == [8, 3]


@pytest.mark.parametrize("time", ["yesterday", "2026-05-01T12:00:00", ""])
def test_a_time_that_cannot_be_read_is_counted_and_the_line_kept(tmp_path: Path, time: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(A + b"\n" + closing("b", opened_at=time))
    with load([str(path)]) as engine:
        assert len(places(engine)) == 2
        assert others(engine.accounts[str(path)]) == {loading.NO_TIME: [2]}


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    (tmp_path / "log").write_bytes(A)
    program = f"from kaproxy.analysis.store import load\nload(['{tmp_path / 'log'}']).close()"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert list((tmp_path / "scratch").iterdir()) == []


PIECES = st.sampled_from(
    [A, B[:700], W, W[:30], docker(C), b"", b" ", b"\r", b"\n", b"\n", b"\n", b"\xff", b"\0", b"\x01"]
)


def _tolerant(path: Path) -> tuple[list[tuple[int, str]], Account]:
    account = Account()
    with logs.open_log(str(path)) as raw:
        return [(line.number, line.fields["conn_id"]) for line in logs.read_lines(raw, account)], account


def _ways(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for size in (0, 1 << 30):
        monkeypatch.setattr(sources, "SMALL", size)
        yield


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES | st.binary(max_size=5), max_size=12))
def test_bulk_and_tolerant_reader_agree_on_any_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(pieces))
    assume(not is_saved(str(path)))  # a Parquet file by its first bytes
    assume(not path.read_bytes().startswith(b"\x28\xb5\x2f\xfd"))  # zstd by its first bytes, and torn
    expected, account = _tolerant(path)
    for _ in _ways(monkeypatch):
        with load([str(path)]) as engine:
            found = [
                engine.rows(f"select line_no, conn_id from {{{table}}}") for table in ("closed", "warned")
            ]
            assert sorted(found[0] + found[1]) == sorted(expected)
            own = engine.accounts[str(path)]
            assert (own.lines, own.understood) == (account.lines, account.understood)
            assert {what: each.count for what, each in own.others.items()} == {
                what: each.count for what, each in account.others.items()
            }
