"""Fixtures for all tests of this folder."""

from tests.support.server_checks import all_output_is_described, no_blocking_calls

__all__ = ["all_output_is_described", "no_blocking_calls"]
