"""One module a command; ``options`` holds the flags that commands share."""
