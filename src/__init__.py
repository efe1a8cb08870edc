"""finecut: training, scoring and using networks that cut out the foreground of an image."""
