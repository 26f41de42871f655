"""Tests of applications: a client in process, a server on a real socket, time that moves."""

from oxidite.testing.client import Client

__all__ = ["Client"]
