"""The demonstration: a blog with pages for people and a JSON API for programs.

``app.py`` puts it together. ``models.py`` has the tables, ``store.py`` the database and what is done in
it, ``site.py`` the routes of the pages and ``views.py`` their HTML, ``api.py`` the API, ``settings.py``
what can be set.
"""
