"""From a bundle to an answer: what crosses from training to serving, what runs it, and where it is kept."""
