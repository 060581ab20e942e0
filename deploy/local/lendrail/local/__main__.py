"""`python -m lendrail.local` is the command `lendrail`."""

from lendrail.local.cli import app

app()
