"""What `lendrail dlq` can be told."""

from __future__ import annotations

import argparse


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="lendrail dlq", description="Records that could not be read, and why.")
    commands = found.add_subparsers(dest="command", required=True)
    told = commands.add_parser("list", help="how many, why, since when; nothing of their content")
    told.add_argument("--each", action="store_true", help="one line for each letter too")
    one = commands.add_parser("show", help="one letter: reason and headers")
    one.add_argument("id", help="as `list --each` names it")
    one.add_argument("--reveal", action="store_true", help="its whole content; entered in the audit")
    back = commands.add_parser("replay", help="put records back onto their topics, each once")
    back.add_argument("--dry-run", action="store_true", help="only say what would be done")
    for name in ("id", "reason", "service"):
        back.add_argument(f"--{name}", action="append", help="only these; may be repeated")
    back.add_argument("--all", action="store_true", help="whatever there is")
    back.add_argument("--even-if-unreadable", action="store_true", help="also what cannot be read now either")
    back.add_argument("--again", action="store_true", help="also an event that was put back before and came here again")
    for each in (told, back):
        each.add_argument("--topic", action="append", help="only of this topic, by the name of the topic itself")
    for each in (one, back):
        each.add_argument("--who", help="id of whoever does it")
        each.add_argument("--why", help="why; sealed, and kept")
    return found
