"""Monitors: one line in a training script that logs batch norm and judges it live.

Each framework's adapter is a module of its own, so that nothing is imported that is not used.
"""
