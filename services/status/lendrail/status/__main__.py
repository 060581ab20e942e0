"""`python -m lendrail.status`"""

from lendrail.runtime.service import configure_logs, serve
from lendrail.status.app import NAME, build
from lendrail.status.settings import Settings


def main() -> None:
    settings = Settings()
    configure_logs(NAME, settings)
    service, app = build(settings)
    serve(app, service)


if __name__ == "__main__":
    main()
