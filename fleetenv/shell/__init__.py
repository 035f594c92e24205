"""Connections to hosts, and the one remote shell that is spoken over them."""
