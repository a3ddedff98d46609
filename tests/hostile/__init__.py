"""One attacker at a time, while others get their news: what was tried, what was refused, what it cost the others."""
