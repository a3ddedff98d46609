"""How fast we are, measured, never tested: each module prints its figures with the machine they are from."""
