"""Thin adapters between NVFlare and the learner and server arithmetic. The only folder that imports nvflare."""
