"""Which protection is switched off how, which proof must notice, and what it must say."""

from __future__ import annotations

from proofs.sabotage.calling import CALLING
from proofs.sabotage.hearing import HEARING
from proofs.sabotage.keeping import KEEPING
from proofs.sabotage.row import Row
from proofs.sabotage.sending import SENDING
from proofs.sabotage.taking import TAKING

ROWS: tuple[Row, ...] = (*SENDING, *TAKING, *CALLING, *HEARING, *KEEPING)
