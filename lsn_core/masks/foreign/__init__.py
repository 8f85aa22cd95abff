"""Masks in the formats of others: read without trust, checked, matched to a layout; and written.

A foreign file is never opened in the process that asks: ``reading`` starts ``child``, which reads under
limits of memory and time and hands back names, shapes and packed bits.
"""
