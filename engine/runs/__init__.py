"""The run folder: what a run keeps on disk, who holds it, what it is asked to do, and what it gave.

Importing this package, or any module of it but ``checkpoint``, imports no torch.
"""
