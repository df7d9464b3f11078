"""Networks: encoders, decoders, classifiers, segmentation networks, backbones."""
