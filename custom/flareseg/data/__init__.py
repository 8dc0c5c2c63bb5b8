"""A site's data: datalists, the embedded phantom, preparation, cache and sampling."""
