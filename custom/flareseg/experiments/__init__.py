"""Comparing jobs over seeds."""
