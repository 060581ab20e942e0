from lendrail.runtime.service import configure_logs, serve
from lendrail.validation.app import build
from lendrail.validation.handlers import SERVICE
from lendrail.validation.settings import Settings


def main() -> None:
    settings = Settings()
    configure_logs(SERVICE, settings)
    service, app = build(settings)
    serve(app, service)


if __name__ == "__main__":
    main()
