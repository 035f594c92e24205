"""What nvidia-smi says, what a driver supports, and whether a GPU is well."""
