"""Les noyaux CUDA sur un vrai GPU, et ce qu’on en sait sans GPU."""
