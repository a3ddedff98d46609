"""The operating system and the interpreter.

clock             time
file_descriptors  how many connections the process can hold
gc_tuning         when the garbage collector runs
logs              structured logging
"""
