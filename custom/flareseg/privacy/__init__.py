"""What a site lets out, and at what price: scopes, the bound on updates, DP-SGD, budget and ledger.

Imports settings and the sampler of ``data``; the learner imports it.
"""
