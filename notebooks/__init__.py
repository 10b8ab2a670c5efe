"""The courses' notebooks: `source/*.py` are written by hand, `notebooks.build` makes `*.ipynb` from them."""
