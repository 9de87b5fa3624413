"""What was found is kept with a saved log, and told again only where it would be found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kaproxy.analysis import analyze as command
from kaproxy.analysis import kept
from kaproxy.analysis.analyze import Asked, analyze
from kaproxy.analysis.findings import FAILED, find_all
from kaproxy.analysis.report.summary import summary
from kaproxy.analysis.store import DuckEngine, Filters, load
from kaproxy.analysis.store.saved import found_in, save
from tests.fleets import fleet, plants, plants_shared

PARTS = (plants_shared.outages, plants.fights, plants.late_pingers)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log's Parquet file, as the command makes it."""
    folder = tmp_path_factory.mktemp("kept")
    log, path = folder / "kaproxy.jsonl", folder / "kaproxy.parquet"
    fleet.write(log, 2000, 9, PARTS)
    analyze(Asked([str(log)], Filters(), json=True, save=str(path)))
    return path


@pytest.fixture
def engine(saved: Path) -> Iterator[DuckEngine]:
    with load([str(saved)]) as engine:
        yield engine


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the command searches for."""
    words: list[str] = []

    def counted(memory: object, progress: object) -> list[object]:
        words.append("searched")
        return []

    monkeypatch.setattr(command, "find_all", counted)
    return words


def test_what_is_kept_is_what_would_be_found(saved: Path, engine: DuckEngine) -> None:
    told = kept.read(found_in(engine, str(saved)), engine.name)
    assert told is not None
    counted, findings = told
    assert counted == summary(engine)
    fresh = find_all(engine)
    assert kept.written(counted, findings) == kept.written(counted, fresh)
    assert [replace(each, numbers={}) for each in findings] == [replace(each, numbers={}) for each in fresh]
    assert len(findings) > 3


@pytest.mark.parametrize("as_json", [True, False])
def test_asked_again_the_command_says_the_same_without_searching(
    saved: Path, searches: list[str], capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    with load([str(saved)]) as engine:
        fresh = kept.read(found_in(engine, str(saved)), engine.name)
    analyze(Asked([str(saved)], Filters(), json=as_json))
    assert searches == []
    assert fresh is not None
    assert fresh[1][0].title.split()[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    "filters", [Filters(client="press-*"), Filters(cause="takeover"), Filters.of(since="3d")]
)
def test_another_question_is_searched_for_anew(saved: Path, searches: list[str], filters: Filters) -> None:
    analyze(Asked([str(saved)], filters, json=True))
    assert searches == ["searched"]


def test_what_other_code_found_is_searched_for_anew(
    saved: Path, searches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "code", lambda: "another")
    analyze(Asked([str(saved)], Filters(), json=True))
    assert searches == ["searched"]


def test_what_another_engine_found_is_searched_for_anew(saved: Path, engine: DuckEngine) -> None:
    assert kept.read(found_in(engine, str(saved)), "duckdb 0.1") is None


def test_a_file_saved_with_nothing_found_in_it_is_searched(
    engine: DuckEngine, tmp_path: Path, searches: list[str]
) -> None:
    bare = tmp_path / "bare.parquet"
    save(engine, str(bare))
    analyze(Asked([str(bare)], Filters(), json=True))
    assert searches == ["searched"]


def test_a_part_of_a_log_is_not_kept_as_the_whole(saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.parquet"
    analyze(Asked([str(saved)], Filters(cause="takeover"), json=True, save=str(again)))
    with load([str(again)]) as engine:
        assert found_in(engine, str(again)) == ""


def test_a_search_that_failed_is_not_kept(engine: DuckEngine) -> None:
    counted, (first, *_) = summary(engine), find_all(engine)
    assert kept.written(counted, [replace(first, kind=FAILED)]) == ""


def test_the_code_that_finds_is_known_by_every_file_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "analysis" / "findings" / "x.py"
    module.parent.mkdir(parents=True)
    digests = []
    for text in ("a = 1", "a = 2"):
        module.write_text(text)
        monkeypatch.setattr(kept, "_ROOT", tmp_path)
        kept.code.cache_clear()
        digests.append(kept.code())
    kept.code.cache_clear()
    assert digests[0] != digests[1]
