"""Connections: pools of them, transactions, replicas, and what is watched of statements."""
