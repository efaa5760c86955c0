"""What others wrote, on its way in (files, tables), and on its way out to programs that read more into it."""
