"""PenPress: tells handwritten from typed text in document images."""
