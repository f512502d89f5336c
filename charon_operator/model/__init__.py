"""The nouns: what users write, what is observed, what is decided.

Reads: nothing. Gives: frozen values that every other room shares. Never: a clock, a network, a log.
"""
