"""How a line of the timeline looks on a terminal."""

from rich.text import Text

from lendrail.local.timeline import Line

COLOURS = {
    "approved": "green",
    "accepted": "green",
    "funded": "bold green",
    "declined": "red",
    "info-required": "yellow",
    "invalid": "red",
    "ineligible": "yellow",
    "withdrawn": "yellow",
    "outcome-unknown": "magenta",
}


def short(application: str | None) -> str:
    """The end of an id: applications of the same second begin alike (UUIDv7)."""
    return f"…{application[-6:]}" if application else "-"


def rendered(line: Line) -> Text:
    """`+  1234 ms  …a1b2c3  status-updated  by status  forward-financing  approved`"""
    after = f"+{line.milliseconds:6d} ms" if line.milliseconds is not None else " " * 10
    word = line.word or ""
    text = Text.assemble(
        (f"{after}  ", "dim"),
        (f"{short(line.application):8}", "cyan"),
        (f"{line.event:23}", "bold"),
        (f"by {line.service:15}", "dim"),
        f"{line.partner or '':19}",
        (word, COLOURS.get(word.rpartition(" ")[2], "")),
    )
    text.rstrip()
    return text
