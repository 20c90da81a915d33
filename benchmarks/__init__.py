"""What the claims are measured by. Machines are shared and noisy: compare the ratios within one run."""

import os

from mesh.worker import ONE_THREAD

os.environ.update(ONE_THREAD)  # before numpy reads it: what is compared runs as a worker does, on one core
