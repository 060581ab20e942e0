"""`python -m lendrail.submission`"""

from lendrail.partners.declared import declare
from lendrail.runtime.process import run
from lendrail.submission.app import build
from lendrail.submission.settings import Settings

if __name__ == "__main__":
    run("submission", Settings, build, declare)
