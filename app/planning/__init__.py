"""Planning: what of a collection goes into a prompt, by which rules, and why."""
