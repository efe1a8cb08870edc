"""A page served to a browser: images go in, masks come out. No framework in the browser."""
