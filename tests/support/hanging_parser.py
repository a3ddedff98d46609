"""A parser process that takes a request and never answers."""

import sys
import time

sys.stdout.buffer.write(b"\n")
sys.stdout.buffer.flush()
time.sleep(600)
