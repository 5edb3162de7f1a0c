"""A photograph perturbed until the network predicts something else."""
