"""Two clients with one identifier, or one that came back: both CONNECTs side by side, and what the old side did.

Other settings mean another client. With the same settings it depends on whether the old side was still alive:
a client that answers the broker's close was there all along, one whose host no longer answers had come back.
"""

from __future__ import annotations

from kaproxy.connection.evidence import Evidence, Rival
from kaproxy.diagnosis.reading import Life, client_life, keep_alive_of
from kaproxy.diagnosis.rules.root import Root
from kaproxy.diagnosis.verdict import Cause, Confidence
from kaproxy.diagnosis.wording import beaten

_SETTLED, _LIKELY, _UNCLEAR = Confidence.SETTLED, Confidence.LIKELY, Confidence.UNCLEAR
_TWO = f"{Cause.TAKEOVER}/two_clients"
_BACK = f"{Cause.TAKEOVER}/reconnect_after_half_open"
#: A client that has sent nothing for so many Keep Alives has given this connection up.
_ABANDONED_FACTOR = 1.2


def find_root(evidence: Evidence, rival: Rival) -> Root:
    """Why there were two connections; nameless where the other CONNECT, or the old side, is not known."""
    if rival.keep_alive is None:
        return Root(None)
    side_by_side, differ = _side_by_side(evidence, rival)
    life = client_life(evidence)
    if differ:
        return _another_client(side_by_side, life)
    if life is Life.GONE:
        return Root(
            "reconnect_after_half_open",
            (side_by_side, "The old one's host no longer answers."),
            ruled_out=(beaten(_TWO, "same settings, and the old one is gone"),),
            would_settle="The device's log.",
        )
    if life in (Life.REACTED, Life.KERNEL):
        return _same_settings(evidence, rival, side_by_side, life)
    return Root(None, (side_by_side,), would_settle="The logs of both: one device or two?")


def _another_client(side_by_side: str, life: Life) -> Root:
    sure = {Life.REACTED: _SETTLED, Life.KERNEL: _LIKELY}.get(life, _UNCLEAR)
    alive = "The old one closed in its turn." if life is Life.REACTED else ""
    return Root(
        "two_clients",
        (side_by_side, *filter(None, (alive,))),
        sure,
        ruled_out=(beaten(_BACK, "the settings differ"),),
        would_settle="Whether one client's settings were changed.",
    )


def _same_settings(evidence: Evidence, rival: Rival, side_by_side: str, life: Life) -> Root:
    same_host = rival.client_addr == evidence.origin.client_addr
    silent_s, keep_alive = evidence.silence_s or 0.0, keep_alive_of(evidence)
    settle = "The logs of both: one device or two?"
    if keep_alive and silent_s > _ABANDONED_FACTOR * keep_alive:
        told = "The old one was past its Keep Alive, so it may have been given up."
        return Root("reconnect_after_half_open", (side_by_side, told), _UNCLEAR, would_settle=settle)
    alive = "it closed in its turn" if life is Life.REACTED else "its host answers"
    return Root(
        "same_host_duplicate" if same_host else "two_clients",
        (side_by_side,),
        _LIKELY if life is Life.REACTED else _UNCLEAR,
        ruled_out=(beaten(_BACK, f"the old one was alive: {alive}"),),
        would_settle="Whether this address is one host." if same_host else settle,
    )


def _side_by_side(evidence: Evidence, rival: Rival) -> tuple[str, bool]:
    """Both CONNECTs as a sentence, and whether they differ in what one client does not change by itself."""
    old = (evidence.protocol_version, evidence.keep_alive, evidence.will_present)
    new = (rival.protocol_version, rival.keep_alive, rival.will_present)
    if old == new:
        return f"Both: {_connect(old)}.", False
    return f"Old: {_connect(old)}; new: {_connect(new)}.", True


def _connect(settings: tuple[str | None, int | None, bool | None]) -> str:
    protocol_version, keep_alive, will = settings
    return f"MQTT {protocol_version}, Keep Alive {keep_alive} s, {'Will' if will else 'no Will'}"
