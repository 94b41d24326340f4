"""Training of networks A and B on phantoms (extra ``train``; never needed at run time)."""
