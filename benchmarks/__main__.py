"""All benchmarks, with their defaults."""

from benchmarks import noop

noop.main([])
