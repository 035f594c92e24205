"""fleetenv measured against its peers and its floor."""
