"""What every command has of its process: threads, memory, precision, the machine."""
