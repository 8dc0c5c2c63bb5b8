"""``flareseg data check``: a site's data, looked at before a network sees it."""
