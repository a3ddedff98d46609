"""Fuzzing of everything that reads bytes of others.

targets  what is called with the fuzzer's bytes, and what it may answer with
one      fuzzes one target
run      `make fuzz`: run atheris on every target, and write docs/fuzzing.md
corpus/  inputs that began new paths, and the slowest that were found; they are tested in CI
"""
