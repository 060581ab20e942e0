#!/bin/sh
# Run the member that this image was built for; arguments go to it.
set -eu
exec python -m "lendrail.$(basename "$MEMBER")" "$@"
