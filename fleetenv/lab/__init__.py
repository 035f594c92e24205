"""Disposable SSH hosts on this machine, a small conda channel, a small installer."""
