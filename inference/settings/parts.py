"""The parts that a model is made of by name; one of your own is ``path/file.py:Name``.

Nothing here imports torch, so that names can be listed at once.
"""

GUIDES = {
    "joint": "inference.guides:JointGuide",
    "poe": "inference.guides:ProductGuide",
    "retrofit": "inference.guides:RetrofitGuide",
    "masked": "inference.guides:MaskedGuide",
    "none": "inference.guides:EmptyGuide",
}
"""Guides by name."""

OBJECTIVES = {
    "elbo": "inference.objectives.bounds:ELBO",
    "iwae": "inference.objectives.bounds:IWAE",
    "renyi": "inference.objectives.bounds:Renyi",
    "dreg": "inference.objectives.bounds:DReG",
    "stl": "inference.objectives.bounds:STL",
}
"""Bounds by name, for the joint term and for retrofit terms alike."""

PRIORS = {
    "standard": "scene.priors.prior:StandardPrior",
    "flow": "scene.priors.prior:StandardPrior",
    "ladder": "scene.priors.ladder:LadderPrior",
}
"""Priors p(z) of joint models by name; a flow is learned after a model whose prior is standard."""
