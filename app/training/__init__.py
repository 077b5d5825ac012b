"""From data to a logged bundle: networks, augmentation, fitting, export, judgement, plots, explanations."""
