"""The demonstration: a blog with pages for people and a JSON API for programs.

``app.py`` puts it together. ``database.py`` names the database, ``models.py`` has the tables, ``store.py``
what is done in them and ``jobs.py`` what is done later, ``site.py`` the routes of the pages and ``views.py``
their HTML, ``api.py`` the API, ``mail.py`` what would be mailed, ``settings.py`` what can be set.
"""
