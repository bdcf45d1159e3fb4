"""Another machine's library behind the SDK's interface."""
