"""Masks of sub-networks: in memory, in ticket files, in atlases."""
