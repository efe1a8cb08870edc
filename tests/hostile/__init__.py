"""What strangers and accidents bring: nothing of it runs, lies, or ends in a traceback."""
