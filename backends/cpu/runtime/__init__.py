"""Running a program: the part in C, and how Python calls it."""
