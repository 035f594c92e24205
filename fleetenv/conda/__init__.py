"""Specs, channels and mirrors, locks, installers, generations."""
