"""What all folders share: errors, files, optional packages, tables, the machine."""
