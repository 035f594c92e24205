"""The walk of a host through its tasks, and many walks side by side."""
