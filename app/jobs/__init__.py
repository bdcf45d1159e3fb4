"""Jobs: long work that can be stopped and goes on after a kill."""
