"""Relations between models: declared on the class, loaded for many objects at once, never in secret.

``declare.py`` is what a class body says, ``definition.py`` the way through the tables, ``relation.py``
the relation on the class, ``handles.py`` and ``linked.py`` those on an object, ``loading.py`` what asks
the database, ``install.py`` what a model gets of it. All that is public is in ``oxidite.db``.
"""
