"""What learning maximises: bounds on the evidence, and sums of them over subsets of views."""
