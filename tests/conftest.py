"""What all tests share. One thread per process: tests are small, and threads of several processes fight over cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
