"""A silence as a bar against its deadlines: Keep Alive, and the broker's window.

One bar stands for seconds since the client's last control packet; the marks of the deadlines stand at the same
place in every row. It may not know what a row tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from kaproxy.analysis.timeline import Is, Row, scale_s
from kaproxy.connection.evidence import Evidence
from kaproxy.diagnosis.wording import seconds

_LABEL_WIDTH = 16
_LONGEST, _SHORTEST = 56, 16
_BEFORE_SHARE, _BEFORE_WANTED = 0.46, 45


@dataclass(frozen=True, slots=True)
class Bars:
    """How bars are drawn on one screen. `before`: columns left of them; `cells`: their width."""

    before: int
    cells: int
    scale_s: float
    keep_alive: float | None
    low: float | None
    high: float | None
    profile: str
    plain: bool

    @classmethod
    def fitting(cls, evidence: Evidence, rows: Sequence[Row], width: int, *, plain: bool) -> Bars | None:
        """Bars for these rows; None where there is no silence or no room for one."""
        scale = scale_s(evidence, rows)
        before = max(int(width * _BEFORE_SHARE), min(_BEFORE_WANTED, width - _LABEL_WIDTH - _SHORTEST))
        cells = min(_LONGEST, width - before - _LABEL_WIDTH)
        if scale is None or cells < _SHORTEST or all(row.silence_s is None for row in rows):
            return None
        keep_alive = evidence.effective_keep_alive or None
        return cls(
            before,
            cells,
            scale,
            keep_alive,
            evidence.limit_low_s,
            evidence.limit_high_s,
            evidence.broker_profile,
            plain,
        )

    @property
    def legend(self) -> str:
        """What the marks stand for."""
        text = "Bars: how long the client had been silent"
        if self.keep_alive is None:
            return f"{text}; Keep Alive is off."
        text += f"; {self._glyph('|')} Keep Alive {self.keep_alive} s"
        if self.low is None or self.high is None:
            return f"{text}; {self.profile} sets no limit."
        span = (
            f"{seconds(self.low)} to {seconds(self.high)}"
            if self.high > self.low
            else f"at {seconds(self.low)}"
        )
        beyond = "" if self.high <= self.scale_s else " (its end is off the scale)"
        broker = "any known broker" if self.profile == "unknown" else self.profile
        return f"{text}; [ ] the window in which {broker} expires it, {span}{beyond}."

    def worth(self, row: Row) -> bool:
        """Is there anything to see? The last silence is always shown."""
        return row.kind is not Is.PACKET or self._filled(row.silence_s or 0.0) > 0

    def _filled(self, silence_s: float) -> int:
        return round(silence_s / self.scale_s * (self.cells - 1))

    def bar(self, silence_s: float) -> Text:
        """The bar of a silence, its length in seconds and in Keep Alives."""
        filled = self._filled(silence_s)
        marks = self._marks()
        bar = Text()
        for cell in range(self.cells):
            style = self._style(cell)
            if cell in marks:
                bar.append(marks[cell], "bold")
            else:
                bar.append(self._glyph("=") if cell < filled else " ", style)
        factor = f" {silence_s / self.keep_alive:.2f} x" if self.keep_alive else ""
        return bar + Text(f" {_short(silence_s)}{factor}")

    def _marks(self) -> dict[int, str]:
        """Where the deadlines stand; the window's start wins over what falls on it."""
        marks: dict[int, str] = {}
        if self.keep_alive is not None:
            marks[self._cell(self.keep_alive)] = self._glyph("|")
        if self.low is not None and self.high is not None:
            if self.high <= self.scale_s:
                marks[max(self._cell(self.high), self._cell(self.low) + 1)] = "]"
            marks[self._cell(self.low)] = "["
        return marks

    def _cell(self, at_s: float) -> int:
        return min(self.cells - 2, round(at_s / self.scale_s * (self.cells - 2)))

    def _style(self, cell: int) -> str:
        if self.keep_alive is None or cell < self._cell(self.keep_alive):
            return "green"
        return "yellow" if self.low is None or cell < self._cell(self.low) else "red"

    def _glyph(self, plain: str) -> str:
        return plain if self.plain else {"=": "━", "|": "│"}.get(plain, plain)


def _short(value_s: float) -> str:
    return f"{value_s:.2f} s" if value_s < _LONG_S else f"{value_s:.0f} s"


_LONG_S = 100.0
