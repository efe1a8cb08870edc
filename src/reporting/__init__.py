"""Tables: what finished runs wrote, over seeds, beside what the papers printed."""
