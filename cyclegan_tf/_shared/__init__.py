"""What all folders use: errors, files, optional packages, tables, the machine."""
