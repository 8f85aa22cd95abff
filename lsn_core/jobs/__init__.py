"""Runs that outlive whoever started them: each a process of its own, and a folder that says how far it is."""
