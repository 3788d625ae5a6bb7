"""Many fits at once: one program, resumable files."""
