"""Faults of a running federation, with real processes on loopback: ``make test-faults`` and the tests of resume."""
