"""The networks of models and guides: encoders, decoders, backbones, classifiers."""
