"""Sinks for events and drift: terminal, JSON, HTML, Markdown, JUnit."""
