"""Files to hosts, groups, and merged variables; and the patterns that choose among them."""
