"""Mechanisms for all folders: errors, files, optional packages, tables, machine."""
