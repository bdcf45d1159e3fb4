"""The web page; knows the app's service only."""
