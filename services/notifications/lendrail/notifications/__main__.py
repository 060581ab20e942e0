from lendrail.notifications.app import build
from lendrail.notifications.handlers import SERVICE
from lendrail.notifications.settings import Settings
from lendrail.runtime.service import configure_logs, serve

if __name__ == "__main__":
    settings = Settings()
    configure_logs(SERVICE, settings)
    service, app = build(settings)
    serve(app, service)
