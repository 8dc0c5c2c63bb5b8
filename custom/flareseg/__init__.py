"""Federated CT and MR segmentation on NVIDIA FLARE: FedGIN with FedGS."""

__version__ = "0.1.0"
