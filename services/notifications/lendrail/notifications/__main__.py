"""`python -m lendrail.notifications`"""

from lendrail.notifications.app import build
from lendrail.notifications.settings import Settings
from lendrail.runtime.process import run

if __name__ == "__main__":
    run("notifications", Settings, build)
