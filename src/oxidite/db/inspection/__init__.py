"""Models out of a database that is there already: ``oxidite db inspect``.

``reading.py`` reads the database into ``found.py``'s plain data, ``types.py`` and ``checks.py`` know what
of it a model can say, ``naming.py`` calls it in Python, and ``writing.py`` writes the module.
"""
