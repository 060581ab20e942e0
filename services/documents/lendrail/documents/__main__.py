"""The imports stand inside: rendering processes are spawned, read this file again and need none of them."""


def main() -> None:
    from lendrail.documents.app import build
    from lendrail.documents.handlers import SERVICE
    from lendrail.documents.settings import Settings
    from lendrail.runtime.service import configure_logs, serve

    settings = Settings()
    configure_logs(SERVICE, settings)
    service, app = build(settings)
    serve(app, service)


if __name__ == "__main__":
    main()
