"""What a notebook, a page or another program needs, as values: the command line is options and formatting over this.

    from cnnlab import Options, Recipe, Study, load_run, start, train    # trainings and studies
    from cnnlab.api import data, inspection, networks, predictions, runs # tables, answers, pictures

Nothing here returns text that is made to be read; errors are CnnlabError alone. A page needs no torch for what it
shows of runs and studies: each function imports it where it is used.
"""
