"""A job on one machine in one process, without NVFlare: for research, where all data lies in one place.

The learners, the sum of updates and the choice of models are those of sites and server, with the same seeds.
"""
