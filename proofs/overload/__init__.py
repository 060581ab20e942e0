"""Ten times what the platform can carry, for two minutes, through its front door: `python -m proofs.overload`."""
