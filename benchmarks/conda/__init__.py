"""The channel and the Miniconda-shaped installer of the main job's benchmark, with a conda that peers can work with."""
