"""The drift report as text, JSON, HTML, Markdown and JUnit XML."""
