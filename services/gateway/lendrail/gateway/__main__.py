"""`python -m lendrail.gateway`"""

from lendrail.gateway.app import build
from lendrail.gateway.settings import Settings
from lendrail.partners.declared import declare
from lendrail.runtime.process import run

if __name__ == "__main__":
    run("gateway", Settings, build, declare)
