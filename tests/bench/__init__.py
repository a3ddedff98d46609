"""The measurements' own instruments: what must not be wrong without being noticed."""
