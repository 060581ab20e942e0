"""The image's health check: exit code 0 when this program answers /live."""

import os
import sys
import urllib.request

url = f"http://127.0.0.1:{os.environ['LENDRAIL_PORT']}/live"
try:
    with urllib.request.urlopen(url, timeout=2) as answer:
        sys.exit(0 if answer.status == 200 else 1)
except OSError:
    sys.exit(1)
