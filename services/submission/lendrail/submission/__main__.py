"""`python -m lendrail.submission`."""

from __future__ import annotations

from lendrail.runtime.service import configure_logs, serve
from lendrail.submission.app import build
from lendrail.submission.settings import Settings
from lendrail.submission.store import SERVICE


def main() -> None:
    settings = Settings()
    configure_logs(SERVICE, settings)
    service, app = build(settings)
    serve(app, service)


if __name__ == "__main__":
    main()
