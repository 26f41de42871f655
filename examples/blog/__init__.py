"""The demonstration: a blog with pages for people and a JSON API for programs.

``app.py`` holds the application and the pages' routes, ``api.py`` the API, ``views.py`` the HTML,
``store.py`` the posts and comments. Run it with ``oxidite dev examples/blog/app.py``.
"""
