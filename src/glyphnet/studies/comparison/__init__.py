"""Compare methods on the same data (`comparing`), or two saved models with each other (`models`).

Nothing is imported here: the child processes that fit scikit-learn's methods need no torch.
"""
