"""Past runs, shown: lists of them, one of them, one host of one."""
