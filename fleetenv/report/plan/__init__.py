"""Plans: what a run would do, as a document to be reviewed, and whether it would still do the same."""
