"""`python -m lendrail.status`"""

from lendrail.partners.declared import declare
from lendrail.runtime.process import run
from lendrail.status.app import build
from lendrail.status.settings import Settings

if __name__ == "__main__":
    run("status", Settings, build, declare)
