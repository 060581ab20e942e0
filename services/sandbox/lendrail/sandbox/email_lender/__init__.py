"""The simulated lender by mail: `door` listens, `inbox` reads what came, `lender` keeps the books."""

from lendrail.sandbox.email_lender.lender import EmailLender as EmailLender
