"""The torch engine. Everything of `engines` that imports torch is in this folder."""
