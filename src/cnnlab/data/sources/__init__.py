"""One file per kind of source: each says whether a folder holds it (`find`) and how its files are decoded."""
