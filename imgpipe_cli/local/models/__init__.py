"""The models that are not shipped with imgpipe: which they are, where they lie, how they are fetched.

Standard library only: `imgpipe local models` must not load an image library.
"""
