"""One file per kind of source: finds it in a folder and decodes its files."""
