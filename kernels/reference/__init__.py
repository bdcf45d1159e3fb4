"""Every operation in plain torch: readable, exact, slow; what the fast paths are held against."""
