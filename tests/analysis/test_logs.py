"""Reading lines: every wrapping undone, every line that is none of kaproxy's counted with its number."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaproxy.analysis import logs
from kaproxy.analysis.logs import Account, LogError, open_log, parse, read_lines

OWN = {"timestamp": "2026-05-01T12:00:00.000000Z", "event": "proxy.started", "schema": 1, "worker": "1"}
TEXT = orjson.dumps(OWN)


def read(*raw: bytes) -> tuple[list[tuple[int, Any]], Account]:
    """Number and event of the lines understood, and the account."""
    account = Account()
    return [(line.number, line.fields["event"]) for line in read_lines(raw, account)], account


def others(account: Account) -> dict[str, list[int]]:
    return {what: each.first for what, each in account.others.items()}


@pytest.mark.parametrize(
    "wrapped",
    [
        TEXT,
        b"\xef\xbb\xbf" + TEXT,
        b"\0\0\0\0" + TEXT,  # what copytruncate leaves
        b"2026-05-01T12:00:00.1Z stdout F " + TEXT,
        b"[pod/kaproxy-7f/kaproxy] " + TEXT,
        b"kaproxy-1  | " + TEXT,
        b"May  1 12:00:00 gate kaproxy[812]: " + TEXT,
        orjson.dumps({"log": TEXT.decode() + "\n", "stream": "stdout", "time": "2026-05-01T12:00:00Z"}),
    ],
)
def test_what_docker_kubectl_and_others_put_around_a_line_is_passed_over(wrapped: bytes) -> None:
    found, account = read(wrapped + b"\r\n")
    assert found == [(1, "proxy.started")]
    assert account == Account(lines=1, understood=1)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (TEXT[:40], logs.TORN),
        (b"Traceback (most recent call last):", logs.NOT_JSON),
        (b"[1, 2]", logs.NOT_JSON),
        (b'{"msg": "listening"}', logs.FOREIGN),
        (b'{"event": "started"}', logs.FOREIGN),
        (b'{"log": "hello", "stream": "stdout"}', logs.NOT_JSON),
        (TEXT.replace(b'"schema":1', b'"schema":0'), "of schema 0 (this version reads 1)"),
    ],
)
def test_any_other_line_is_counted_and_named(raw: bytes, what: str) -> None:
    found, account = read(TEXT, raw, TEXT)
    assert [number for number, _ in found] == [1, 3]
    assert others(account) == {what: [2]}
    assert (account.lines, account.understood) == (3, 2)


def test_the_whole_line_behind_a_torn_one_is_read_and_the_torn_one_counted() -> None:
    found, account = read(TEXT[:40] + TEXT)
    assert found == [(1, "proxy.started")]
    assert others(account) == {logs.TORN: [1]}


def test_blank_lines_are_nothing() -> None:
    assert read(b"\n", b"  \r\n") == ([], Account(lines=2))


def test_only_the_first_numbers_of_many_are_kept_and_all_are_counted() -> None:
    _, account = read(*[b"noise"] * 1000)
    kept = account.others[logs.NOT_JSON]
    assert (kept.count, kept.first) == (1000, [1, 2, 3, 4, 5])


@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    fields, what = parse(raw)
    assert (fields is None) != (what is None)


def read_file(path: Path) -> tuple[list[tuple[int, Any]], Account]:
    account = Account()
    with open_log(str(path)) as raw:
        return [(line.number, line.fields["event"]) for line in read_lines(raw, account)], account


def test_a_gzipped_log_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(TEXT + b"\n" + TEXT + b"\n"))
    assert read_file(path) == ([(1, "proxy.started"), (2, "proxy.started")], Account(2, 2))


def test_a_gzipped_log_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"".join(TEXT + b"%d\n" % n for n in range(9000)))[:-30])
    found, account = read_file(path)
    assert logs.CUT_OFF in account.others
    assert account.lines > len(found)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LONGEST_LINE", 1000)
    path = tmp_path / "log"
    path.write_bytes(TEXT + b"\n" + b"x" * 5500 + b"\n" + TEXT)
    found, account = read_file(path)
    assert [number for number, _ in found] == [1, 3]
    assert others(account) == {logs.TOO_LONG: [2]}


def test_standard_input_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.BufferedReader(io.BytesIO(gzip.compress(TEXT + b"\n")))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    assert read_file(Path("-"))[0] == [(1, "proxy.started")]
    assert not stdin.closed


def zstd(path: Path, lines: list[str]) -> bytes:
    duckdb.execute(
        f"copy (select unnest($1)) to '{path}' (format csv, header false, quote '', delim '\t', compression zstd)",
        [lines],
    )
    return path.read_bytes()


def test_zstd_of_a_file_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "log.zst"
    zstd(path, [TEXT.decode(), "Killed", "", TEXT.decode()])
    lines, account = read_file(path)
    assert lines == [(1, "proxy.started"), (4, "proxy.started")]
    assert others(account) == {logs.NOT_JSON: [2]}


def test_zstd_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.zst"
    whole = zstd(path, [TEXT.decode()] * 4)
    path.write_bytes(whole[:-3])
    assert logs.CUT_OFF in others(read_file(path)[1])
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\x00")
    assert others(read_file(path)[1]) == {logs.CUT_OFF: [1]}


def test_zstd_in_a_pipe_or_without_duckdb_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.zst"
    packed = zstd(path, [TEXT.decode()])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(packed))))
    with pytest.raises(LogError, match=r"only a file's.*zstdcat -"):
        read_file(Path("-"))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(LogError, match=r"kaproxy\[analyze\]"):
        read_file(path)


def test_a_missing_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="No such file"):
        read_file(tmp_path / "none")
