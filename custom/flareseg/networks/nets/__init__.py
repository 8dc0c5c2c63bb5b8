"""The modules of published networks that MONAI does not have, written from the papers.

Imports PyTorch only: a network's settings lie one folder above.
"""
