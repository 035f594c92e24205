"""What a task can say: one file a module."""
