"""What is done to the pixels of a modality before anything learns from them; one idea a file."""
