"""One attacker at a time beside ordinary clients: what was tried and refused, and what it cost the others."""
