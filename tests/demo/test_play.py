"""The command: what it chooses, what it refuses, its exit code; and the whole of it with either broker."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import pytest
from rich.console import Console

from kaproxy.demo import play as play_module
from kaproxy.demo.children import Line
from kaproxy.demo.play import at_hand, choose, missing, play
from kaproxy.demo.scenarios import SCENARIOS
from kaproxy.demo.screen import DONE, Run, Screen


def paper(width: int = 120) -> Console:
    """A console that writes into memory and is no terminal."""
    return Console(file=io.StringIO(), width=width)


def written(console: Console) -> str:
    """What was written on it."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def a_run(line: Line | None) -> Run:
    """The scenario "never", over, with this closing line."""
    scenario = next(item for item in SCENARIOS if item.name == "never")
    return Run(scenario, state=DONE, line=line, took_s=3.0)


def test_a_broker_plays_only_what_it_can() -> None:
    """rumqttd counts its own writes, so it cannot show a client that only listens."""
    names = {scenario.name for scenario in choose("rumqttd", ())}
    assert "listens" not in names
    assert "listens" in {scenario.name for scenario in choose("mosquitto", ())}


def test_only_names_scenarios() -> None:
    """In the table's order."""
    assert [scenario.name for scenario in choose("rumqttd", ("probe", "late"))] == ["late", "probe"]


def test_an_unknown_name_is_a_usage_error() -> None:
    """Exit code 2, and the name is told."""
    console = paper()
    assert play("rumqttd", ("no-such",), console) == 2
    assert "no-such" in written(console)


def test_a_machine_without_the_broker_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback, a sentence."""
    monkeypatch.setattr(play_module, "mosquitto", lambda: None)
    assert missing("mosquitto") == "mosquitto is not installed here"


def test_a_machine_without_the_extra_packages_is_told_which_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command to type stands in the message."""
    monkeypatch.setattr(play_module, "find_spec", lambda _name: None)
    console = paper()
    assert play("rumqttd", (), console) == 2
    assert "pip install 'kaproxy[demo]'" in written(console)


def test_an_unknown_broker_is_a_usage_error() -> None:
    """Exit code 2, and the known ones are told."""
    console = paper()
    assert play("hivemq", (), console) == 2
    assert "rumqttd, mosquitto" in written(console)


@pytest.mark.parametrize(
    ("package", "program", "taken"),
    [
        (object(), None, "rumqttd"),
        (object(), "mosquitto", "rumqttd"),
        (None, "mosquitto", "mosquitto"),
        (None, None, "rumqttd"),  # and then it is said what is missing
    ],
)
def test_auto_takes_the_broker_that_is_here(
    monkeypatch: pytest.MonkeyPatch, package: object, program: str | None, taken: str
) -> None:
    """The extra's broker first."""
    monkeypatch.setattr(play_module, "find_spec", lambda _name: package)
    monkeypatch.setattr(play_module, "mosquitto", lambda: program)
    assert at_hand() == taken


def test_fast_leaves_out_what_waits_for_somebodys_patience() -> None:
    """No keepalive and no ping timer runs out."""
    causes = {scenario.cause for scenario in choose("rumqttd", fast=True)}
    assert "takeover" in causes
    assert not causes & {"keep_alive_timeout", "ping_timeout"}


def test_a_wrong_verdict_is_shown_as_wrong_with_what_was_expected() -> None:
    """The table must be able to say NO."""
    console = paper()
    screen = Screen(
        console, [a_run({"cause": "broker_closed", "root": None, "owner": "broker", "confidence": "likely"})]
    )
    screen.told(screen.runs[0])
    screen.result()
    screen.score(12.3)
    text = written(console)
    assert "WRONG" in text
    assert "NO" in text
    assert "0 of 1 right" in text
    assert "keep_alive_timeout / never_pinged" in text


def test_a_right_verdict_is_shown_as_right() -> None:
    """Cause and root as expected."""
    console = paper()
    line = {
        "cause": "keep_alive_timeout",
        "root": "never_pinged",
        "owner": "client_app",
        "confidence": "likely",
    }
    screen = Screen(console, [a_run(line)])
    screen.result()
    screen.score(12.3)
    assert "expected" not in written(console)
    assert written(console).splitlines()[-1] == "1 of 1 right, in 12 s"


@pytest.mark.end_to_end
def test_a_single_scenario_runs_for_real() -> None:
    """A broker, a proxy, a probe: exit code 0, the line explained."""
    console = paper()
    assert play("rumqttd", ("probe",), console) == 0, written(console)
    assert "One closing line, explained" in written(console)


@pytest.mark.end_to_end
def test_a_wrong_verdict_fails_the_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same play with another expectation ends with exit code 1."""
    probe = next(scenario for scenario in SCENARIOS if scenario.name == "probe")
    monkeypatch.setattr(play_module, "SCENARIOS", (replace(probe, cause="takeover"),))
    assert play("rumqttd", (), paper()) == 1


@pytest.mark.end_to_end
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize("kind", ["rumqttd", "mosquitto"])
def test_every_verdict_of_the_whole_demonstration_is_right(kind: str) -> None:
    """All scenarios side by side, with a real broker and real clients."""
    if kind == "mosquitto" and not shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin"):
        pytest.skip("mosquitto is not installed")
    console = paper()
    assert play(kind, (), console) == 0, written(console)
