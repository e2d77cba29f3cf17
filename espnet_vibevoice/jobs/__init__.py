"""Runs commands as numbered jobs, here or under Slurm, in Kaldi's calling manner."""
