"""The commands of the command line.

exits     the exit codes, and how an error is reported
serve     run the server, and check its settings
check     check what the settings name, without a start
clients   publish items to a server, and print them as they arrive
token     print a signed token
database  back up and restore the database

May import everything except `__main__`.
"""
