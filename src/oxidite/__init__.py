"""Oxidite."""
