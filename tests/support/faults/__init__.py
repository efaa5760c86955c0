"""What goes wrong around a program: disks, processes, folders of others."""
