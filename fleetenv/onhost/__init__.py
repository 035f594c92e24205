"""The little that runs on a host: POSIX sh, and Python for Miniconda's own interpreter."""
