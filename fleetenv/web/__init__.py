"""`fleetenv serve`: the history as a read-only web dashboard."""
