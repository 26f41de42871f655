"""The demonstration: a blog with pages for people and a JSON API for programs.

``app.py`` puts it together. ``site.py`` has the routes of the pages and ``views.py`` their HTML,
``api.py`` the API, ``store.py`` the posts and comments, ``settings.py`` what can be set.
"""
