"""`python -m lendrail.gateway`"""

from lendrail.gateway.app import build
from lendrail.gateway.settings import Settings
from lendrail.partners.declared import declare
from lendrail.runtime.service import run

if __name__ == "__main__":
    run("gateway", Settings, build, declare)
