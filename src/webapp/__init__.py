"""A page served to a browser: pictures go in, masks come out. No framework in the browser."""
