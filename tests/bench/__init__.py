"""Tests of the benchmarks' own tools: their errors must not go unnoticed."""
