"""What every CoDetect service needs, and nothing else."""
