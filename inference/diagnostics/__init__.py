"""What a trained model believes, held against what it should: figures and pictures of a run."""
