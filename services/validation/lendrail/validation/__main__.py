"""`python -m lendrail.validation`"""

from lendrail.partners.declared import declare
from lendrail.runtime.process import run
from lendrail.validation.app import build
from lendrail.validation.settings import Settings

if __name__ == "__main__":
    run("validation", Settings, build, declare)
