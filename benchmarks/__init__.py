"""What the speed claims are measured by. Machines are shared and noisy: compare the ratios within one run."""
