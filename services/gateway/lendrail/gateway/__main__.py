from __future__ import annotations

from lendrail.gateway.app import NAME, build
from lendrail.gateway.settings import Settings
from lendrail.runtime.service import configure_logs, serve


def main() -> None:
    settings = Settings()
    configure_logs(NAME, settings)
    service, app = build(settings)
    serve(app, service)


if __name__ == "__main__":
    main()
