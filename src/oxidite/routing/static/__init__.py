"""Directories of files: safe paths, compressed forms, pages of applications, assets by content."""

from oxidite.routing.static.assets import Assets

__all__ = ["Assets"]
