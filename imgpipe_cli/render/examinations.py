"""What doctor found: a row for each check with its fix, and the same as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imgpipe_cli.render.columns import SENTENCE, Column, Columns
from imgpipe_cli.render.styled import Text
from imgpipe_cli.render.text import count, safe

if TYPE_CHECKING:
    from imgpipe_cli.diagnose.doctor.checks import Check
    from imgpipe_cli.render.screen import Screen
    from imgpipe_cli.session.target import Target

_WORDS = {"ok": "ok", "warning": "warning", "failed": "failed", "not_checked": "not checked"}
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "not_checked": "dim"}
# So many details of a check are shown without --verbose.
_FEW = 6


def show(screen: Screen, checks: Sequence[Check], target: Target, *, verbose: bool) -> None:
    """Every check, what was seen, and below it what to do."""
    table = Columns(Column(whole=True), Column(least=SENTENCE), headless=True)
    longest = max((len(_WORDS[check.outcome]) for check in checks), default=0)
    for check in checks:
        outcome = (_WORDS[check.outcome].ljust(longest), _STYLES[check.outcome])
        table.add_row(Text(*outcome) + Text(f"  {check.title}"), _cell(check, verbose))
    screen.show(table)
    screen.line(_sum(checks))
    if target.local:
        screen.line("AWS was not checked, since the local cloud is the target: imgpipe doctor --aws")


def _cell(check: Check, verbose: bool) -> Text:
    cell = Text(safe(check.seen))
    wrong = check.outcome in ("warning", "failed")
    shown = check.details if verbose else check.details[:_FEW] if wrong else ()
    for detail in shown:
        cell += Text(f"\n- {safe(detail)}")
    if wrong and len(shown) < len(check.details):
        cell += Text(f"\n- and {len(check.details) - len(shown)} more (--verbose)")
    if check.fix:
        cell += Text("\nFix: ", "bold") + Text(safe(check.fix))
    return cell


def _sum(checks: Sequence[Check]) -> str:
    numbers = {outcome: sum(check.outcome == outcome for check in checks) for outcome in _WORDS}
    parts = [
        f"{numbers['failed']} failed",
        count(numbers["warning"], "warning"),
        f"{numbers['ok']} ok",
        f"{numbers['not_checked']} not checked",
    ]
    return ", ".join(parts) + "."


def document(checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "checks": [
            {
                "id": check.id,
                "title": check.title,
                "verdict": check.outcome,
                "seen": check.seen,
                "fix": check.fix,
                "details": list(check.details),
            }
            for check in checks
        ]
    }


def errors(checks: Sequence[Check]) -> list[dict[str, str]]:
    """What failed, as errors of the document: the check's id is the code."""
    return [
        {"code": check.id, "message": check.seen, "hint": check.fix}
        for check in checks
        if check.outcome == "failed"
    ]
