"""Where bytes are: folders and files of this machine, and of every file system fsspec knows."""
