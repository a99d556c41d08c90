"""What a study of segmentation has of its own; all else is the same as for classification."""
