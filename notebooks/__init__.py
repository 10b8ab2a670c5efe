"""The courses' notebooks: `source/*.py` is what is written, `*.ipynb` what `notebooks.build` makes of it."""
