"""Images through a generator: one, many files, a web page; large ones in tiles."""
