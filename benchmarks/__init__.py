"""Speed, memory and bytes beside peers, each side measured in turn in one run: ``python -m benchmarks``."""
