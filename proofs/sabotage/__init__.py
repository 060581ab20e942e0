"""Protections switched off one by one, in a copy: a proof that stays green without its protection proves nothing."""
