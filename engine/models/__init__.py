"""Models: loaded, proved to run exactly, framed by their chat template, made faster."""
