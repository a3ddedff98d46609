"""Access to the operating system and the Python interpreter.

clock             the current time, and sleeping
file_descriptors  raises the limit on open files, which bounds the number of connections
gc_tuning         makes full garbage collections rare and short
logs              configures structured logging
service_manager   tells systemd how far the server is
thread_switching  lets the threads of SQLite run soon
"""
