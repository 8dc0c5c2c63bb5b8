"""What a server does with updates and scores, without NVFlare: joins updates, picks models.

:mod:`flareseg.flare.server` and :mod:`flareseg.simulation` use the same code, so that they give the same bits.
"""
